"""The image by itself: what is in it, who is process 1, and that it is no larger than it has to be."""

import json

import pytest

from tests.image.containers import docker, installed, locked

LARGEST_BYTES = 1_500_000_000


def test_it_is_no_larger_than_promised(image):
    assert int(docker("image", "inspect", "-f", "{{.Size}}", image).output) <= LARGEST_BYTES


def test_a_shell_and_any_other_program_run_as_they_are(image):
    assert docker("run", "--rm", image, "bash", "-c", "echo hello; exit 3") == (3, "hello\n")


@pytest.mark.parametrize("word", ["help", "--help", "-h"])
def test_it_prints_its_help(word, image):
    ran = docker("run", "--rm", image, word)
    assert ran.status == 0, ran
    assert ran.output.startswith("usage: docker run IMAGE COMMAND")
    assert all(f"\n  {command} " in ran.output for command in ("train", "evaluate", "serve", "local", "doctor"))


def test_without_a_command_and_a_job_it_prints_its_help_and_that_is_no_success(image):
    ran = docker("run", "--rm", image)
    assert ran.status == 2, ran
    assert ran.output.startswith("usage: docker run IMAGE COMMAND")


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
    assert installed(image) == locked("cpu")


def test_doctor_tells_what_the_container_is_limited_to(image):
    limits = ("--cpus", "1", "--memory", "2g", "--shm-size", "256m")
    told = docker("run", "--rm", *limits, image, "doctor", "--json")
    found = {finding["what"]: finding for finding in json.loads(told.output)["findings"]}
    assert told.status == 0
    assert (found["CPUs"]["cpus"], found["memory"]["bytes"], found["/dev/shm"]["bytes"]) == (
        1,
        2 * 1024**3,
        256 * 1024**2,
    )
    assert found["GPUs"]["found"] == "none; no CUDA either"


def test_doctor_says_that_dockers_shared_memory_is_small_and_how_to_have_more(image):
    told = docker("run", "--rm", image, "doctor")
    assert told.status == 0
    assert "note   /dev/shm   64 MiB" in told.output and "--shm-size 1g" in " ".join(told.output.split())


def test_doctor_says_what_is_wrong_by_its_status(image):
    assert docker("run", "--rm", "--memory", "700m", image, "doctor").status == 3
    lost = ("-e", "STORE=s3://rllib", "-e", "AWS_ENDPOINT_URL_S3=http://127.0.0.1:1")
    keys = ("-e", "AWS_ACCESS_KEY_ID=a", "-e", "AWS_SECRET_ACCESS_KEY=b")
    assert docker("run", "--rm", *lost, *keys, image, "doctor").status == 5


def test_what_was_left_out_of_packages_is_not_missed(image):
    """OpenCV's pictures and equations, SAC's distributions, pygame's libraries, the board, a user's requirements."""
    program = """
import cv2, numpy as np, scipy.linalg, tensorflow_probability as tfp, onnxruntime, tf2onnx, h5py, pandas
import sagemaker_training.cli.train
from tensorboard import default, program
assert cv2.resize(np.zeros((210, 160, 3), np.uint8), (84, 84)).shape == (84, 84, 3)
matrix = np.random.default_rng(0).normal(size=(20, 20))
ones = np.ones((20, 1))
for solve in (np.linalg.solve, scipy.linalg.solve, lambda a, b: cv2.solve(a, b, flags=cv2.DECOMP_SVD)[1]):
    assert np.allclose(matrix @ solve(matrix, ones), ones)
assert tfp.distributions.Normal(0.0, 1.0).scale is not None
import ctypes, glob, io, PIL.Image, pygame, pygame.freetype
libraries = [file for name in ("SDL2-2", "asound", "webp", "freetype", "FLAC", "opus", "modplug", "mpg123")
             for file in glob.glob(f"{pygame.__path__[0]}.libs/lib{name}-*")]
assert len([ctypes.CDLL(file) for file in libraries]) == 8
assert pygame.image.get_extended()
pygame.font.init()
word = pygame.font.Font(None, 20).render("word", True, (1, 2, 3))
for name in ("a.png", "a.jpg"):
    pygame.image.save(word, name)
    assert pygame.image.load(name).get_size() == PIL.Image.open(name).size == word.get_size()
PIL.Image.open("a.png").convert("RGB").save(io.BytesIO(), "webp")
print("all there")
"""
    said = docker("run", "--rm", image, "python", "-c", program)
    assert said.output.splitlines()[-1] == "all there", said
