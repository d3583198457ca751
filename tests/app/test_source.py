"""Bring your own: environments, experiments and programs of the user's. What is refused: test_refusals.py."""

import json
import os
import subprocess
import sys
import tarfile
from importlib import metadata

import pytest

from rl_app.errors import UserError
from rl_app.job import requirements, user_code
from tests.app.jobs import REPOSITORY, Finished, local, run

CORRIDOR = REPOSITORY / "examples" / "corridor"
PROGRAM = REPOSITORY / "examples" / "program" / "random_search.py"


def test_an_environment_and_an_experiment_of_ones_own_train(tmp_path):
    words = ("corridor", "stop.training_iteration=2", "--source", str(CORRIDOR), "--job", "mine")
    ran = run(local(*words, "--store", str(tmp_path)))
    job = Finished(tmp_path, "mine", ran)
    assert ran.status == 0, ran
    facts = json.loads((job.unpack("model.tar.gz", tmp_path / "model") / "policy.json").read_text())
    assert (facts["env"], facts["env_config"]) == ("corridor", {"length": 8})
    with tarfile.open(str(job.directory / "source" / "sourcedir.tar.gz")) as kept:
        assert sorted(kept.getnames()) == ["envs.py", "experiments.py"]


def test_workers_find_the_users_modules_too(tmp_path):
    words = ("corridor", "stop.training_iteration=1", "config.num_workers=1", "--source", str(CORRIDOR))
    ran = run(local(*words, "--store", str(tmp_path)))
    assert ran.status == 0, ran


CONSTANTS = """
import gym

class Maze(gym.Env):
    observation_space, action_space = gym.spaces.Discrete(4), gym.spaces.Discrete(2)

    def __init__(self, start, rewards, walls, scale):
        assert start == (1, 2) and walls == {(0, 1)} and list(scale) == [1, 2]
        self.rewards = rewards

    def reset(self):
        return 0

    def step(self, action):
        return 1, self.rewards[int(action)], True, {}

ENVS = {"maze": lambda env_config: Maze(**env_config)}
"""
MADE_WITH = """
import numpy as np

env_config = {"start": (1, 2), "rewards": {0: 0.0, 1: 1.0}, "walls": {(0, 1)}, "scale": np.array([1, 2])}
few = {"num_workers": 0, "train_batch_size": 200, "sgd_minibatch_size": 64, "num_sgd_iter": 1}
EXPERIMENTS = {"maze": {"run": "PPO", "env": "maze", "config": {**few, "env_config": env_config}}}
"""


def test_an_evaluations_environment_is_made_with_what_the_trainings_was(tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "envs.py").write_text(CONSTANTS)
    (own / "experiments.py").write_text(MADE_WITH)
    store = ("--store", str(tmp_path / "store"))
    ran = run(local("maze", "stop.training_iteration=1", "--source", str(own), "--job", "maze", *store))
    assert ran.status == 0, ran
    assert "rl.training.config.env_config.scale: is no constant of Python: evaluations have an array as a list" in str(
        ran
    )
    for more in ((), ("--restore",)):
        played = run([*local()[:-1], "evaluate", "maze", "--episodes", "1", *more, *store])
        assert played.status == 0, played


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ("types.py", "{}/types.py: would be imported in place of types, which the job needs: rename it"),
        ("random.py", "{}/random.py: would be imported in place of random, which the job needs: rename it"),
        ("gym/__init__.py", "{}/gym: would be imported in place of gym, which the job needs: rename it"),
        ("envs/__init__.py", "{0}/envs.py: {0}/envs/__init__.py is imported in its place: rename that one"),
    ],
)
def test_a_module_of_the_name_of_another_is_refused(there, said, tmp_path):
    own = tmp_path / "own"
    (own / there).parent.mkdir(parents=True)
    (own / there).write_text("")
    (own / "envs.py").write_text("ENVS = {'mine': None}")
    ran = run(local("env=mine", "--source", str(own), "--store", str(tmp_path / "store")))
    assert (ran.status, ran.stderr) == (2, f"{said.format(own)}\n"), ran


def test_a_file_that_is_looked_for_where_the_job_runs_is_told_where_it_is(tmp_path):
    (tmp_path / "map.csv").write_text("1,2")
    (tmp_path / "envs.py").write_text("ENVS = {'mine': open('map.csv')}")
    ran = run(local("env=mine", "--source", str(tmp_path), "--store", str(tmp_path / "store")))
    assert ran.status == 2 and ran.stderr.startswith("envs.py:1: FileNotFoundError: "), ran
    assert ran.stderr.endswith(
        "it lies beside the code, and a job runs elsewhere: Path(__file__).with_name('map.csv') finds it\n"
    )


def test_modules_of_ones_own_may_have_any_other_name(tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    names = ("utils", "config", "policy", "train", "job", "scripts", "errors", "machine", "code", "test")
    for name in names:
        (own / f"{name}.py").write_text(f"X = {name!r}")
    (own / "envs.py").write_text("".join(f"import {name}\nassert {name}.X\n" for name in names) + "ENVS = {}")
    code = f"from pathlib import Path; from rl_app.job import user_code; user_code.load(Path({str(own)!r}))"
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)


def leads_nowhere(own):
    (own / "deep" / "data").symlink_to("/nowhere")


def leads_in_a_circle(own):
    (own / "deep" / "around").symlink_to(own)


def is_a_pipe(own):
    os.mkfifo(str(own / "deep" / "pipe"))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (leads_nowhere, "{}/deep/data: a link that leads nowhere: remove it"),
        (leads_in_a_circle, "{}/deep/around: a link to a folder that it lies in: remove it"),
        (is_a_pipe, "{}/deep/pipe: no file or folder: remove it"),
    ],
)
def test_what_no_archive_can_hold_is_refused(make, said, tmp_path):
    own = tmp_path / "own"
    (own / "deep").mkdir(parents=True)
    (own / "experiments.py").write_text("EXPERIMENTS = {}")
    make(own)
    for words in (["--source", str(own)], ["--program", str(PROGRAM), "--dependency", str(own)]):
        ran = run(local(*words, "--store", str(tmp_path / "store")))
        assert (ran.status, ran.stderr) == (2, f"{said.format(own)}\n"), ran


def test_links_to_files_and_folders_elsewhere_are_packed_as_what_they_lead_to(tmp_path):
    own, elsewhere = tmp_path / "own", tmp_path / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    (elsewhere / "deep" / "map.csv").write_text("1,2")
    own.mkdir()
    (own / "envs.py").write_text("ENVS = {}")
    (own / ".git").symlink_to("/nowhere")
    for name in ("one", "other"):
        (own / name).symlink_to(elsewhere)
    user_code.pack(user_code.contents(own), tmp_path / "source.tar.gz")
    user_code.unpack(tmp_path / "source.tar.gz", tmp_path / "there")
    assert (tmp_path / "there" / "other" / "deep" / "map.csv").read_text() == "1,2"


def test_a_program_of_ones_own_runs_in_place_of_the_job(tmp_path):
    ran = run(local("tries=3", "--program", str(PROGRAM), "--job", "program", "--store", str(tmp_path)))
    assert ran.status == 0, ran
    model = Finished(tmp_path, "program", ran).unpack("model.tar.gz", tmp_path / "model")
    assert len(json.loads((model / "weights.json").read_text())["weights"]) == 4


def test_a_requirement_is_installed_for_the_job_alone(tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "envs.py").write_text("import colorlog\nENVS = {}\nassert colorlog.__file__.count('packages') > 1")
    (own / "requirements.txt").write_text("colorlog==6.8.2\n")
    words = ("cartpole", "stop.training_iteration=1", "--source", str(own), "--store", str(tmp_path / "store"))
    ran = run(local(*words))
    assert ran.status == 0, ran
    with pytest.raises(ImportError):
        __import__("colorlog")


@pytest.mark.parametrize("name", ["../outside", "/absolute"])
def test_an_archive_that_would_leave_its_folder_is_refused(name, tmp_path):
    hostile = tmp_path / "sourcedir.tar.gz"
    with tarfile.open(str(hostile), "w:gz") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(UserError, match="out of the archive's folder"):
        user_code.unpack(hostile, tmp_path / "code")
    assert not (tmp_path / "outside").exists()


def test_an_archive_with_a_link_is_refused(tmp_path):
    hostile = tmp_path / "sourcedir.tar.gz"
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(str(hostile), "w:gz") as archive:
        archive.addfile(link)
    with pytest.raises(UserError, match="out of the archive's folder"):
        user_code.unpack(hostile, tmp_path / "code")


def test_a_package_is_held_at_the_version_that_is_imported():
    import setuptools  # noqa: F401  # which puts packages of its own on the path, of other versions

    assert requirements.installed()["typing-extensions"] == metadata.version("typing-extensions")
