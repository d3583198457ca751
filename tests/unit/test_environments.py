"""The set-up of the virtual environment: real uv and real environments, from locks of wheels made here."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Dict, List

import pytest

from scripts.lib import environments, interpreters, locked_uv, prerequisites, set_up_steps
from scripts.lib.environments import HOST, IMAGE, ROOT, TEST, SetUpError
from tests.mounts import disk
from tests.waiting import until


class Clone:
    """A clone that installs from a folder of wheels; `said` is what its set-up told the user."""

    def __init__(self, root: Path, wheels: Path) -> None:
        self.root = root
        self.wheels = wheels
        self.said: List[str] = []
        (root / "docker" / "requirements").mkdir(parents=True)
        self.lock("uv", {})
        tools = locked_uv.uv_folder(root) / "bin"
        tools.mkdir(parents=True)
        (tools / "uv").symlink_to(locked_uv_here())

    def lock(self, name: str, packages: Dict[str, str], corrupt: bool = False) -> None:
        """Writes a lock of {name: version}; each package is a module of that name that says its version."""
        lines = []
        for package, version in packages.items():
            digest = hashlib.sha256(make_wheel(self.wheels, package, version).read_bytes()).hexdigest()
            lines.append(f"{package}=={version} --hash=sha256:{'0' * 64 if corrupt else digest}\n")
        set_up_steps.lock_file(self.root, name).write_text("".join(lines))

    def ensure(self, *locks: str) -> None:
        environments.ensure(locks, self.root, self.said.append)

    def ensure_elsewhere(self, *locks: str) -> subprocess.Popen[str]:
        """The same in another process, whose stderr is what it says."""
        code = (
            "import sys; from pathlib import Path; from scripts.lib.environments import ensure\n"
            "ensure(sys.argv[2:], Path(sys.argv[1]))"
        )
        command = [sys.executable, "-c", code, str(self.root), *locks]
        return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)

    def version(self, package: str, *locks: str) -> str:
        """What the module of this name says in the locks' environment; "" if there is none."""
        code = f"import {package}; print({package}.VERSION)"
        asked = subprocess.run(
            [str(environments.interpreter(environments.environment_of(self.root, locks))), "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return asked.stdout.strip()


def make_wheel(folder: Path, package: str, version: str) -> Path:
    wheel = folder / f"{package}-{version}-py3-none-any.whl"
    info = f"{package}-{version}.dist-info"
    files = {
        f"{package}.py": f"VERSION = '{version}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(text)}\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record + f"{info}/RECORD,,\n"}.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return wheel


def locked_uv_here() -> Path:
    ours = locked_uv.uv_folder(ROOT) / "bin" / "uv"
    found = str(ours) if ours.exists() else shutil.which("uv")
    if found is None:
        pytest.skip("no uv: scripts/test installs it")
    return Path(found)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    settings = {
        "UV_FIND_LINKS": str(wheels),
        "UV_NO_INDEX": "1",
        "UV_OFFLINE": "1",
        "UV_CACHE_DIR": str(tmp_path / "cache"),
    }
    # What would leave the environment without byte code, and slow.
    settings["PYTHONDONTWRITEBYTECODE"] = "1"
    for key, value in settings.items():
        monkeypatch.setenv(key, value)
    made = Clone(tmp_path / "a clone", wheels)
    made.lock(IMAGE, {"alpha": "1.0"})
    made.lock(TEST, {"beta": "1.0"})
    return made


def test_a_set_up_installs_its_locks_with_byte_code(clone: Clone) -> None:
    clone.ensure(IMAGE)
    assert (clone.version("alpha"), clone.version("beta")) == ("1.0", "")
    packages = clone.root / ".venv" / "lib" / "python3.8" / "site-packages"
    assert list((packages / "__pycache__").glob("alpha.*.pyc"))
    assert any("3.8." in line for line in clone.said), clone.said


def test_a_second_set_up_does_nothing(clone: Clone) -> None:
    clone.ensure(IMAGE)
    clone.said.clear()
    clone.ensure(IMAGE)
    assert clone.said == []


def test_a_further_lock_goes_into_the_same_environment_and_stays(clone: Clone) -> None:
    clone.ensure(IMAGE)
    clone.ensure(IMAGE, TEST)
    clone.lock(IMAGE, {"alpha": "1.0.1"})
    clone.ensure(IMAGE)
    assert (clone.version("alpha"), clone.version("beta")) == ("1.0.1", "1.0")


def test_the_hosts_environment_is_another_and_needs_neither_a_compiler_nor_linux(
    clone: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    monkeypatch.setenv("CC", "false")
    clone.lock(HOST, {"gamma": "1.0"})
    clone.ensure(HOST)
    assert (clone.version("gamma", HOST), clone.version("alpha", HOST)) == ("1.0", "")
    assert not (clone.root / ".venv").exists()
    clone.said.clear()
    clone.ensure(HOST)
    assert clone.said == []


def test_the_hosts_environment_builds_nothing(clone: Clone) -> None:
    source = clone.wheels / "gamma-1.0.tar.gz"
    source.write_bytes(b"no wheel")
    digest = hashlib.sha256(b"no wheel").hexdigest()
    set_up_steps.lock_file(clone.root, HOST).write_text(f"gamma==1.0 --hash=sha256:{digest}\n")
    with pytest.raises(SetUpError, match="could not be installed"):
        clone.ensure(HOST)
    assert any("no usable wheels" in line for line in clone.said), clone.said


@pytest.mark.parametrize("version", ["3.9", "3.11", "3.13"])
def test_the_hosts_environment_is_made_by_the_python_that_runs(clone: Clone, version: str) -> None:
    newer = shutil.which(f"python{version}")
    if newer is None or set_up_steps.run([newer, "-c", ""])[0] != 0:
        pytest.skip(f"no Python {version} runs here")
    clone.lock(HOST, {"gamma": "1.0"})
    code = (
        "import sys; from pathlib import Path; from scripts.lib import environments\n"
        "environments.become_host(Path(sys.argv[1])); import gamma\n"
        "print(gamma.VERSION, sys.version_info[:2], sys.argv[2:])"
    )
    script = clone.root / "script.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}\n")
    (clone.wheels / "gamma.py").write_text("VERSION = 'another'\n")
    for _ in range(2):  # the second in the environment that is there
        done = subprocess.run(
            [newer, str(script), str(clone.root), "a word"],
            env={**os.environ, "PYTHONPATH": str(clone.wheels)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"1.0 {tuple(map(int, version.split('.')))} ['a word']\n"


def test_what_a_lock_no_longer_names_is_removed(clone: Clone) -> None:
    clone.lock(IMAGE, {"alpha": "1.0", "gamma": "1.0"})
    clone.ensure(IMAGE)
    clone.lock(IMAGE, {"alpha": "1.0"})
    clone.ensure(IMAGE)
    assert (clone.version("alpha"), clone.version("gamma")) == ("1.0", "")


def test_a_package_that_is_not_the_locked_one_is_refused(clone: Clone) -> None:
    clone.lock(IMAGE, {"alpha": "1.0"}, corrupt=True)
    with pytest.raises(SetUpError, match="could not be installed") as refused:
        clone.ensure(IMAGE)
    assert refused.value.errno == 1
    clone.lock(IMAGE, {"alpha": "1.0"})
    clone.ensure(IMAGE)
    assert clone.version("alpha") == "1.0"


def test_a_set_up_that_was_killed_is_completed_by_the_next(clone: Clone) -> None:
    killed = clone.ensure_elsewhere(IMAGE)
    until((clone.root / ".venv" / "set-up.json").exists)
    killed.kill()
    killed.communicate()
    half_made = clone.root / ".venv" / "half-made"
    half_made.write_text("")
    # The installer that the killed one started may have come to its end, but nothing vouches for it.
    clone.ensure(IMAGE)
    assert clone.version("alpha") == "1.0"
    assert not half_made.exists()


def test_a_copy_of_a_clone_gets_an_environment_of_its_own(clone: Clone, tmp_path: Path) -> None:
    clone.ensure(IMAGE)
    shutil.copytree(clone.root, tmp_path / "copy", symlinks=True)
    clone.root = tmp_path / "copy"
    clone.ensure(IMAGE)
    asked = [str(environments.interpreter(clone.root / ".venv")), "-c", "import sys; print(sys.prefix)"]
    assert subprocess.check_output(asked, text=True).strip() == str(tmp_path / "copy" / ".venv")
    assert str(tmp_path / "copy") in (clone.root / ".venv" / "bin" / "activate").read_text()


def test_an_environment_of_the_users_own_is_left_alone(clone: Clone) -> None:
    theirs = clone.root / ".venv" / "pyvenv.cfg"
    theirs.parent.mkdir()
    theirs.write_text("home = /elsewhere\n")
    with pytest.raises(SetUpError, match="move it away"):
        clone.ensure(IMAGE)
    assert theirs.read_text() == "home = /elsewhere\n"


def test_an_environment_whose_python_does_not_run_is_made_anew(clone: Clone) -> None:
    clone.ensure(IMAGE)
    python = clone.root / ".venv" / "bin" / "python"
    python.unlink()
    python.write_text("")
    clone.ensure(IMAGE)
    assert clone.version("alpha") == "1.0"


def test_a_clone_that_cannot_be_written_to_is_named_in_one_line(clone: Clone) -> None:
    with disk(clone.root / ".tools", "1m", read_only=True):
        other = clone.ensure_elsewhere(IMAGE)
        _, said = other.communicate(timeout=60)
    lock = clone.root / ".tools" / "lock"
    reason = f"{lock}: Read-only file system; a set-up writes 2 GB into {clone.root}, which has to be your own"
    assert said.splitlines()[-1] == f"scripts.lib.set_up_steps.SetUpError: {reason}"


def test_two_set_ups_at_once_wait_for_one_another(clone: Clone) -> None:
    with set_up_steps.exclusive(clone.root, clone.said.append):
        other = clone.ensure_elsewhere(IMAGE)
        assert other.stderr is not None
        assert "waiting" in other.stderr.readline()
        assert not (clone.root / ".venv").exists()
    assert other.wait(60) == 0, other.stderr.read()
    assert clone.version("alpha") == "1.0"


def test_an_installer_that_outlives_its_set_up_keeps_others_waiting(clone: Clone) -> None:
    code = (
        "import sys; from pathlib import Path; from scripts.lib.set_up_steps import exclusive, run\n"
        "with exclusive(Path(sys.argv[1]), print): run(['sh', '-c', 'echo $$ > pid; exec sleep 60'])"
    )
    pid = clone.root / "pid"
    killed = subprocess.Popen(
        [sys.executable, "-c", code, str(clone.root)],
        cwd=clone.root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    until(lambda: pid.read_text().strip())
    killed.kill()
    killed.wait()
    with open(clone.root / ".tools" / "lock") as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.kill(int(pid.read_text()), signal.SIGKILL)
        fcntl.flock(lock, fcntl.LOCK_EX)


@pytest.mark.parametrize(
    ("system", "machine", "libc"),
    [
        ("Darwin", "arm64", ""),
        ("Linux", "aarch64", "glibc"),
        ("Windows", "AMD64", ""),
        ("Linux", "x86_64", "musl"),
    ],
)
def test_a_machine_that_ray_has_no_wheel_for_is_told_what_works_there(system: str, machine: str, libc: str) -> None:
    with pytest.raises(SetUpError, match=f"this is {system} on {machine}.*--engine docker") as refused:
        prerequisites.check_platform(system, machine, libc)
    assert refused.value.errno == 2
    assert "\n" not in str(refused.value)


def test_a_mirror_that_is_set_for_pip_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "file:///mirror")
    assert set_up_steps.run(["sh", "-c", "echo $UV_DEFAULT_INDEX"]) == (0, ["file:///mirror"])
    monkeypatch.setenv("UV_DEFAULT_INDEX", "file:///nearer")
    assert set_up_steps.run(["sh", "-c", "echo $UV_DEFAULT_INDEX"]) == (0, ["file:///nearer"])


def program(folder: Path, name: str, text: str = "exit 127") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / name
    made.write_text(f"#!/bin/sh\n{text}\n")
    made.chmod(0o755)
    return made


def test_a_python_that_is_there_and_fails_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = interpreters.ask_python(sys.executable)
    assert real is not None
    program(tmp_path / "shims", "python3.8")
    for version in ("3.8.9", "3.8.18"):
        program(
            tmp_path / "pyenv" / "versions" / version / "bin",
            "python3.8",
            f"echo {version} >> '{tmp_path}/asked'; exec '{real.executable}' \"$@\"",
        )
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    monkeypatch.setenv("PATH", str(tmp_path / "shims"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    assert interpreters.find_python(tmp_path, locked_uv_here()) == real
    assert set((tmp_path / "asked").read_text().split()) == {"3.8.18"}, "the newest comes first"


def test_no_python_is_found_where_none_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "shims", "python3.8")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    for key in ("HOME", "PYENV_ROOT", "XDG_DATA_HOME", "UV_PYTHON_INSTALL_DIR"):
        monkeypatch.setenv(key, str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "shims"))
    assert interpreters.find_python(tmp_path, locked_uv_here()) is None


def test_a_python_that_cannot_be_had_is_one_line_that_says_what_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    for key in ("HOME", "PYENV_ROOT", "XDG_DATA_HOME", "UV_PYTHON_INSTALL_DIR", "PATH"):
        monkeypatch.setenv(key, str(tmp_path))
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", "http://127.0.0.1:9")
    said: List[str] = []
    with pytest.raises(SetUpError) as refused:
        interpreters.python_3_8(tmp_path, locked_uv_here(), said.append)
    line = str(refused.value)
    assert "\n" not in line and refused.value.errno == 1
    for way in ("refused", "pyenv install 3.8", "UV_PYTHON_INSTALL_MIRROR", "scripts/train --engine docker"):
        assert way in line
    assert len(said) == 1 and "MB" in said[0], said


def test_a_set_up_says_how_much_comes_and_where_a_mirror_is_set(clone: Clone) -> None:
    clone.ensure(IMAGE, TEST)
    said = next(line for line in clone.said if line.startswith("installing"))
    assert said.startswith("installing image-cpu.txt and test.txt into .venv (up to 560 MB to download")
    assert "PIP_INDEX_URL or UV_DEFAULT_INDEX names a mirror" in said
    clone.said.clear()
    clone.lock(TEST, {"beta": "1.0.1"})
    clone.ensure(IMAGE, TEST)
    assert any(line.startswith("installing test.txt into .venv (up to 43 MB") for line in clone.said)


@pytest.mark.parametrize("version", ["3.6", "3.7"])
def test_an_old_python_starts_a_script_under_a_newer_one(version: str, tmp_path: Path) -> None:
    homes = list((Path.home() / ".pyenv" / "versions").glob(f"{version}.*"))
    old = str(homes[0] / "bin" / "python") if homes else shutil.which(f"python{version}")
    if old is None:
        pytest.skip(f"there is no Python {version}")
    newer = Path(os.path.realpath(sys.executable)).parent
    helped = subprocess.run(
        [old, str(ROOT / "scripts" / "experiments"), "cartpole"],
        env={**os.environ, "PATH": f"{newer}:/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    assert helped.returncode == 0 and helped.stdout.startswith("cartpole: "), helped.stderr


@pytest.fixture
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CC", raising=False)
    return folder


@pytest.mark.parametrize(
    ("manager", "advice"),
    [
        ("apt-get", "apt-get install build-essential"),
        ("dnf", "dnf install gcc"),
        ("pacman", "pacman -S gcc"),
        ("none", "gcc"),
    ],
)
def test_a_missing_compiler_is_named_with_its_package(bare_path: Path, manager: str, advice: str) -> None:
    program(bare_path, manager)
    program(bare_path, "cc", "exit 1")
    with pytest.raises(SetUpError, match=advice) as refused:
        prerequisites.check_compiler(None)
    assert refused.value.errno == 2


def test_a_compiler_is_asked_for_before_anything_is_made(clone: Clone, bare_path: Path) -> None:
    with pytest.raises(SetUpError, match="compiler"):
        clone.ensure(IMAGE)
    assert not (clone.root / ".venv").exists()


def test_missing_headers_are_named_with_their_package(tmp_path: Path, bare_path: Path) -> None:
    program(bare_path, "apt-get")
    # It compiles whatever does not ask for Python.h.
    program(bare_path, "cc", 'while read -r line; do case "$line" in *Python.h*) exit 1 ;; esac; done')
    python = interpreters.Python("/usr/bin/python3.8", "3.8.18", str(tmp_path), "cc")
    with pytest.raises(SetUpError, match=r"apt-get install python3\.8-dev"):
        prerequisites.check_compiler(python)
