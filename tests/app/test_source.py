"""Bring your own: environments, experiments and programs of the user's, and what is said when they are wrong."""

import json
import tarfile

import pytest

from rl_app import source
from rl_app.envs import creation
from rl_app.errors import UserError
from tests.app.jobs import REPOSITORY, Finished, local, run

CORRIDOR = REPOSITORY / "examples" / "corridor"
PROGRAM = REPOSITORY / "examples" / "program" / "random_search.py"

ENVIRONMENT = """
import gym
import numpy as np

class Mine(gym.Env):
    observation_space = gym.spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)
    steps = 0
    def reset(self):
        return np.zeros(1, np.float32)
    def step(self, action):
        self.steps += 1
        {step}
        return np.zeros(1, np.float32), 1.0, self.steps % 10 == 0, {{}}
    def seed(self, seed=None):
        return [seed]

ENVS = {{"mine": lambda env_config: {made}}}
"""
WRONG = {
    "import error": ("import no_such_module", "envs.py:1: ModuleNotFoundError: No module named 'no_such_module'"),
    "syntax error": ("def broken(:", "envs.py:1: SyntaxError"),
    "no registry": ("ENVS = ['mine']", "envs.py: ENVS must be a dict"),
    "no gym environment": (ENVIRONMENT.format(step="pass", made="object()"), "made a object, which is no gym.Env"),
    "raises at once": (
        ENVIRONMENT.format(step="raise ValueError('no such cell')", made="Mine()"),
        "step raised ValueError: no such cell (",
    ),
    "raises later": (
        ENVIRONMENT.format(step="assert self.steps < 150, 'worn out'", made="Mine()"),
        "step raised AssertionError: worn out (",
    ),
    "outside its space": (
        ENVIRONMENT.format(step="return np.full(1, 7.0, np.float32), 0.0, False, {}", made="Mine()"),
        "step gave an observation outside its space",
    ),
    "not a number": (
        ENVIRONMENT.format(step="return np.zeros(1, np.float32), float('nan'), False, {}", made="Mine()"),
        "step gave the reward nan",
    ),
    "five values": (
        ENVIRONMENT.format(step="return np.zeros(1, np.float32), 0.0, False, False, {}", made="Mine()"),
        "expected (observation, reward, done, info)",
    ),
}
SMALL = ("run=PG", "env=mine", "config={}", "stop.timesteps_total=1000", "config.num_workers=0")


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


def test_a_program_of_ones_own_runs_in_place_of_the_job(tmp_path):
    ran = run(local("tries=3", "--program", str(PROGRAM), "--job", "program", "--store", str(tmp_path)))
    assert ran.status == 0, ran
    model = Finished(tmp_path, "program", ran).unpack("model.tar.gz", tmp_path / "model")
    assert len(json.loads((model / "weights.json").read_text())["weights"]) == 4


@pytest.mark.parametrize("case", sorted(WRONG))
def test_what_is_wrong_is_one_line_with_the_users_own_file(case, tmp_path):
    code, said = WRONG[case]
    own = tmp_path / "own"
    own.mkdir()
    (own / "envs.py").write_text(code)
    ran = run(local("cartpole", *SMALL, "--source", str(own), "--job", "wrong", "--store", str(tmp_path / "store")))
    assert ran.status == 2, ran
    lines = [line for line in (ran.stdout + ran.stderr).splitlines() if said in line]
    assert lines, ran
    assert "Traceback" not in ran.stdout + ran.stderr
    if "raises" in case:
        assert "envs.py:13" in lines[0]
    assert said in Finished(tmp_path / "store", "wrong", ran).record["FailureReason"]


def test_a_requirement_against_the_image_is_refused_with_both_versions(tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "envs.py").write_text("ENVS = {}")
    (own / "requirements.txt").write_text("numpy==1.24.4\n")
    ran = run(local("cartpole", "--source", str(own), "--job", "wrong", "--store", str(tmp_path / "store")))
    assert ran.status == 2, ran
    assert "numpy==1.24.4" in ran.stdout and "the image holds numpy==1.23.5" in ran.stdout


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


@pytest.mark.parametrize("where", ["reset", "step"])
def test_an_environment_that_hangs_is_named_with_the_line_it_hangs_in(where, monkeypatch):
    import threading

    import gym

    class Hanging(gym.Env):
        observation_space = action_space = gym.spaces.Discrete(2)

        def reset(self):
            return self.wait() if where == "reset" else 0

        def step(self, action):
            return self.wait()

        def wait(self):
            threading.Event().wait(60)

    monkeypatch.setattr(creation, "HANG_S", 0.5)
    monkeypatch.setattr(creation, "WATCHDOG", creation.Watchdog())
    with pytest.raises(UserError, match=f"env = slow: {where} did not return in 0 s .*threading.py"):
        creation.try_out(creation.creator("slow", envs={"slow": lambda _: Hanging()}), "slow", {}, 0)


def test_an_unknown_environment_is_refused_with_the_nearest(tmp_path):
    ran = run(local("cartpole", "env=CartPole-v7", "--job", "wrong", "--store", str(tmp_path)))
    assert ran.status == 2, ran
    assert "CartPole-v7" in ran.stdout and "CartPole-v1" in ran.stdout


@pytest.mark.parametrize("name", ["../outside", "/absolute"])
def test_an_archive_that_would_leave_its_folder_is_refused(name, tmp_path):
    hostile = tmp_path / "sourcedir.tar.gz"
    with tarfile.open(str(hostile), "w:gz") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(UserError, match="only plain files below"):
        source.unpack(hostile, tmp_path / "code")
    assert not (tmp_path / "outside").exists()


def test_an_archive_with_a_link_is_refused(tmp_path):
    hostile = tmp_path / "sourcedir.tar.gz"
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(str(hostile), "w:gz") as archive:
        archive.addfile(link)
    with pytest.raises(UserError, match="only plain files below"):
        source.unpack(hostile, tmp_path / "code")
