"""The image by itself: what is in it, who is process 1, and that it is no larger than it has to be."""

import json

from tests.image.containers import REPOSITORY, docker

LARGEST_BYTES = 2_200_000_000


def test_it_is_no_larger_than_promised(image):
    assert int(docker("image", "inspect", "-f", "{{.Size}}", image).output) <= LARGEST_BYTES


def test_a_shell_and_any_other_program_run_as_they_are(image):
    assert docker("run", "--rm", image, "bash", "-c", "echo hello; exit 3") == (3, "hello\n")


def test_without_a_command_it_is_a_shell(image):
    assert docker("run", "--rm", "-i", image).status == 0


def test_process_1_reaps_orphans(image):
    program = """
import os, pathlib, time
reader, writer = os.pipe()
if os.fork() == 0:
    orphan = os.fork()
    if orphan == 0:
        os._exit(0)
    os.write(writer, str(orphan).encode())
    os._exit(0)
os.wait()
orphan = pathlib.Path("/proc", os.read(reader, 20).decode())
deadline = time.monotonic() + 10
while orphan.exists() and time.monotonic() < deadline:
    pass
print("reaped" if not orphan.exists() else orphan.joinpath("status").read_text())
"""
    assert docker("run", "--rm", image, "python", "-c", program).output == "reaped\n"


def test_process_1_passes_signals_on(image):
    started = docker(
        "run",
        "-d",
        image,
        "python",
        "-c",
        "import signal, sys; signal.signal(15, lambda *_: sys.exit(7)); print('ready', flush=True); signal.pause()",
    )
    name = started.output.strip()
    try:
        logs = ""
        while "ready" not in logs:
            logs = docker("logs", name).output
        docker("stop", "-t", "20", name)
        assert docker("inspect", "-f", "{{.State.ExitCode}}", name).output.strip() == "7"
    finally:
        docker("rm", "-f", name)


def test_no_compiler_no_installer_and_no_byte_code_to_be_made_are_in_it(image):
    program = """
import json, pathlib, shutil, tensorflow.python, ray
site = pathlib.Path(ray.__file__).parents[1]
lacking = [str(p) for p in (site / "ray" / "rllib").rglob("*.py")
           if not list((p.parent / "__pycache__").glob(p.stem + ".*.pyc"))]
print(json.dumps({"gcc": shutil.which("gcc"), "uv": shutil.which("uv"), "lacking": lacking[:3]}))
"""
    said = docker("run", "--rm", image, "python", "-c", program).output.splitlines()[-1]
    assert json.loads(said) == {"gcc": None, "uv": None, "lacking": []}


def test_what_is_installed_is_the_lock(image):
    lock = (REPOSITORY / "docker" / "requirements" / "image-cpu.txt").read_text()
    locked = {line.split()[0] for line in lock.splitlines() if "==" in line and line[0] not in " #"}
    program = """
from importlib.metadata import distributions
print(*(f"{d.metadata['Name']}=={d.version}" for d in distributions()), sep=chr(10))
"""
    installed = docker("run", "--rm", image, "python", "-c", program).output.split()
    assert set(map(normalized, installed)) == set(map(normalized, locked))


def normalized(requirement):
    name, version = requirement.split("==")
    return name.lower().replace("_", "-").replace(".", "-"), version
