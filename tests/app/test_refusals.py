"""Every wrong input, what is said of it in one line, and the exit status: a table.

``python -m tests.app.test_refusals`` prints it. What takes a Docker engine is in ``tests/image/test_refusals.py``
and ``tests/stack/test_refusals.py``.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple

import pytest

from rl_app import disk
from rl_app.training import checkpoints
from tests import mounts
from tests.app.jobs import REPOSITORY, Ran, local, run, start, wait_for_line

NO_GPUS = {"PATH": "/usr/bin:/bin"}  # where there is no nvidia-smi, there is no GPU


class Lab:
    """A place for one wrong input."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.directory = directory
        self.store = directory / "store"
        self.opt_ml = directory / "ml"
        self._stack = stack

    def disk(self, directory: Path, size: str, read_only: bool = False) -> Path:
        return self._stack.enter_context(mounts.disk(directory, size, read_only))

    def configure(self, **hyperparameters: str) -> Path:
        """``/opt/ml`` as SageMaker lays it out; returns the directory of its config."""
        config = self.opt_ml / "input" / "config"
        config.mkdir(parents=True)
        (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
        (config / "resourceconfig.json").write_text(json.dumps({"current_host": "localhost", "hosts": ["localhost"]}))
        return config

    def source(self, code: str) -> Path:
        directory = self.directory / "own"
        directory.mkdir()
        (directory / "envs.py").write_text(code)
        return directory

    def job(self, *words: str) -> Ran:
        return run(local(*words, "--job", "wrong", "--store", str(self.store)), **NO_GPUS)

    def container(self, **environment: str) -> Ran:
        """What the container's `train` says of ``opt_ml``."""
        words = [sys.executable, "-m", "rl_app", "train"]
        return run(words, **{"SAGEMAKER_BASE_DIR": str(self.opt_ml), **NO_GPUS, **environment})


class Refusal(NamedTuple):
    """``line`` is a regular expression for the whole of the line."""

    of: Callable[[Lab], Ran]
    line: str
    status: int = 2


def job(*words: str) -> Callable[[Lab], Ran]:
    return lambda lab: lab.job(*words)


# ---- refused before there is anything of a job

TYPOS: Dict[str, Tuple[Sequence[str], str]] = {
    "an unknown experiment": (["cart-pole"], 'experiment = "cart-pole": did you mean cartpole\\? one of cartpole, .*'),
    "an unknown algorithm": (["run=PPOO"], 'rl.training.run = "PPOO": did you mean PPO\\? one of .*'),
    "an algorithm that this image has not": (["run=ES"], 'rl.training.run = "ES": .*; one of .*'),
    "an unknown hyperparameter": (
        ["config.train_batchsize=9"],
        "rl.training.config.train_batchsize = 9: unknown; did you mean rl.training.config.train_batch_size\\? .*",
    ),
    "an unknown setting of ours": (["sede=1"], "sede = 1: unknown; did you mean seed\\? known are .*"),
    "a word of Tune's": (["num_samples=4"], "rl.training.num_samples = 4: not here: a job is one trial; .*"),
    "a search": (
        ['config.lr={"grid_search": [0.1, 0.2]}'],
        "rl.training.config.lr = .*: no grid_search: a job is one trial; .*",
    ),
    "a wrong type": (["config.lr=fast"], 'rl.training.config.lr = "fast": expected a number'),
    "an impossible value": (["config.gamma=1.5"], "rl.training.config.gamma = 1.5: must be 0 to 1"),
    "a number that is none": (["config.lr=NaN"], "rl.training.config.lr = .*NaN.*: NaN is no finite number"),
    "one setting against another": (
        ["config.train_batch_size=100"],
        "rl.training.config.sgd_minibatch_size = 128: must be at most config.train_batch_size, which is 100",
    ),
    "a setting that RLlib would ignore": (
        ["cartpole-dqn", "config.model.use_lstm=true"],
        "rl.training.config.model.use_lstm = true: must be false: DQN has no LSTM .*",
    ),
    "a setting twice": (["seed=1", "seed=2"], "seed = 2: given twice, before as 1"),
    "a word that is no setting": (["=5"], "=5: expected KEY=VALUE, such as config.lr=0.001"),
    "a seed below 0": (["seed=-1"], "seed = -1: must be 0 to 4294967295"),
    "a seed of 33 bits": (["seed=4294967296"], "seed = 4294967296: must be 0 to 4294967295"),
    "a seed that is no integer": (["seed=1.5"], "seed = 1.5: expected an integer or null"),
    "two seeds": (["seed=1", "config.seed=2"], "seed = 1: but rl.training.config.seed = 2; .*"),
    "fewer workers than none": (["config.num_workers=-1"], "rl.training.config.num_workers = -1: must be 0 or more"),
    "half a worker": (["config.num_workers=0.5"], "rl.training.config.num_workers = 0.5: expected an integer"),
    "more workers than CPUs": (
        ["config.num_workers=4096"],
        "rl.training.config.num_workers = 4096: this machine has \\d+ CPUs, so at most \\d+",
    ),
    "more GPUs than there are": (
        ["config.num_gpus=1"],
        "rl.training.config.num_gpus = 1: this machine has 0 GPUs, so at most 0",
    ),
    "more GPUs for workers than there are": (
        ["config.num_workers=1", "config.num_gpus_per_worker=0.5"],
        "rl.training.config.num_gpus_per_worker = 0.5: .* takes more than this machine's 0 GPUs, of which .*",
    ),
    "no time to run": (["max_run=0"], "max_run = 0: must be 1 or more"),
    "a source that is not there": (["--source", "nowhere"], "--source nowhere: there is no such directory"),
    "a program that is not there": (["--program", "nowhere.py"], "nowhere.py: there is no such file or directory"),
}


def illegal_name(lab: Lab) -> Ran:
    return run(local("--job", "no spaces", "--store", str(lab.store)))


def nothing_to_resume(lab: Lab) -> Ran:
    return run(local("--resume", "nothing", "--store", str(lab.store)))


def store_without_space(lab: Lab) -> Ran:
    lab.disk(lab.store, "1m")
    return lab.job()


def store_read_only(lab: Lab) -> Ran:
    lab.disk(lab.store, "100m", read_only=True)
    return lab.job()


def bucket_without_credentials(lab: Lab) -> Ran:
    without = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "")
    instance = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/none", "AWS_SHARED_CREDENTIALS_FILE": "/none"}
    return run(local("--job", "wrong", "--store", "s3://bucket"), **without, **instance)


def opt_ml_missing(lab: Lab) -> Ran:
    return lab.container()


def not_utf8(lab: Lab) -> Ran:
    (lab.configure() / "hyperparameters.json").write_bytes(b'{\n  "experiment": "\xff"\n}')
    return lab.container()


def no_json(lab: Lab) -> Ran:
    (lab.configure() / "resourceconfig.json").write_text('{"hosts": [')
    return lab.container()


def no_string(lab: Lab) -> Ran:
    (lab.configure() / "hyperparameters.json").write_text('{"seed": 1}')
    return lab.container()


def config_missing(lab: Lab) -> Ran:
    (lab.configure() / "resourceconfig.json").unlink()
    return lab.container()


def two_hosts(lab: Lab) -> Ran:
    hosts = {"current_host": "algo-1", "hosts": ["algo-1", "algo-2"]}
    (lab.configure(command="evaluate") / "resourceconfig.json").write_text(json.dumps(hosts))
    return lab.container()


def model_read_only(lab: Lab) -> Ran:
    lab.configure()
    lab.disk(lab.opt_ml / "model", "100m", read_only=True)
    return lab.container()


def output_without_space(lab: Lab) -> Ran:
    lab.configure()
    lab.disk(lab.opt_ml / "output", "1m")
    return lab.container()


PLACES: Dict[str, Refusal] = {
    "an illegal job name": Refusal(illegal_name, 'job name = "no spaces": must be 1 to 63 letters, .*'),
    "a job to go on with that is not there": Refusal(
        nothing_to_resume, "--resume nothing: .*/store has no job of this name"
    ),
    "no space on the store's disk": Refusal(
        store_without_space, ".*/store: its disk has 1.0 MiB free, and a job needs 16 MiB"
    ),
    "a store that is not writable": Refusal(store_read_only, "store .*/store: .*/store is not writable"),
    "a bucket and no credentials": Refusal(bucket_without_credentials, "store s3://bucket: no credentials; set .*"),
    "/opt/ml missing": Refusal(opt_ml_missing, ".*/ml/input/config is missing: mount SageMaker's /opt/ml, or .*"),
    "a config file that is not UTF-8": Refusal(
        not_utf8, ".*/hyperparameters.json, line 2, column 18: byte 0xff is no UTF-8"
    ),
    "a config file that is no JSON": Refusal(no_json, ".*/resourceconfig.json, line 1, column 12: no JSON: .*"),
    "a hyperparameter that is no string": Refusal(no_string, ".*: seed = 1: every hyperparameter is a string, .*"),
    "a config file that is missing": Refusal(config_missing, ".*/resourceconfig.json is missing: SageMaker writes .*"),
    "an evaluation on two hosts": Refusal(
        two_hosts, "hosts = .*: an evaluation runs on one; set the instance count to 1"
    ),
    "a model directory that is not writable": Refusal(
        model_read_only, ".*/ml/model is not writable: a job leaves its files there"
    ),
    "no space on the output's disk": Refusal(
        output_without_space, ".*/ml/output/data: its disk has 1.0 MiB free, and a job needs 16 MiB"
    ),
}
BEFORE = {**{name: Refusal(job(*words), line) for name, (words, line) in TYPOS.items()}, **PLACES}


def lines(ran: Ran) -> List[str]:
    return [line for line in (ran.stdout + ran.stderr).splitlines() if line.strip()]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with ExitStack() as stack:
        yield Lab(tmp_path, stack)


@pytest.mark.parametrize("name", BEFORE)
def test_it_is_refused_in_one_line_and_nothing_is_made(name: str, lab: Lab) -> None:
    case = BEFORE[name]
    ran = case.of(lab)
    assert ran.status == case.status, ran
    assert len(lines(ran)) == 1 and re.fullmatch(case.line, lines(ran)[0]), ran
    left = [path for path in lab.directory.rglob("*") if path.is_file() and "input" not in path.parts]
    assert [path for path in left if path.name != "failure"] == []
    assert [path.read_text() for path in left] == lines(ran) * len(left), "the reason is what SageMaker shows"


def test_a_used_name_is_refused_and_the_job_is_as_it_was(lab: Lab) -> None:
    record = lab.store / "wrong" / "job.json"
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    ran = lab.job()
    way_on = "take another, or go on with it by `--resume wrong`"
    assert (ran.status, lines(ran)) == (2, [f"--job wrong: {lab.store} has a job of this name already; {way_on}"])
    assert record.read_text() == "{}" and [path.name for path in lab.store.rglob("*")] == ["wrong", "job.json"]


# ---- refused when the job has been made: the environment is tried out

ENVIRONMENT = """
import time

import gym
import numpy as np


class Mine(gym.Env):
    observation_space = gym.spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)
    steps = 0

    def __init__(self):
        {init}

    def reset(self):
        {reset}
        return np.zeros(1, np.float32)

    def step(self, action):
        self.steps += 1
        {step}
        return np.zeros(1, np.float32), 1.0, self.steps % 10 == 0, {{}}

    def seed(self, seed=None):
        return [seed]


ENVS = {{"mine": lambda env_config: {made}}}
"""
INIT, RESET, STEP, CALLED, DEFINED = 14, 17, 22, 20, 29
FOREVER = "time.sleep(10**6)"
LOOP = "while True: pass"
PARTS = {"init": "pass", "reset": "pass", "step": "pass", "made": "Mine()"}


def environment(**parts: str) -> str:
    return ENVIRONMENT.format(**{**PARTS, **parts})


OWN: Dict[str, Tuple[str, str]] = {
    "a module that is not there": ("import no_such_module", "envs.py:1: ModuleNotFoundError: No module named .*"),
    "no Python": ("\ndef broken(:", "envs.py:2: SyntaxError: .*"),
    "a script that ends itself": ("import sys\nsys.exit(0)", "envs.py:2: SystemExit: 0"),
    "no registry": ("ENVS = ['mine']", ".*envs.py: ENVS must be a dict of names, .*"),
    "no environment of the id": (
        "ENVS = {'mime': dict}",
        "env = mine: no environment of this job or of gym 0.22.0; did you mean mime\\?.*",
    ),
    "an environment that Gym has not": (
        "import gym\nENVS = {'mine': lambda config: gym.make('Mine-v0')}",
        "env = mine: its constructor raised NameNotFound: .* \\(envs.py:2\\)",
    ),
    "no gym environment": (
        environment(made="object()"),
        f"env = mine: its constructor made a object, which is no gym.Env \\(envs.py:{DEFINED}\\)",
    ),
    "no spaces": (
        "import gym\n\n\nclass Mine(gym.Env):\n    pass\n\n\nENVS = {'mine': lambda config: Mine()}",
        "env = mine: its observation_space is no gym.Space \\(envs.py:4\\)",
    ),
    "raises in its constructor": (
        environment(init="raise OSError('no screen')"),
        f"env = mine: its constructor raised OSError: no screen \\(envs.py:{INIT}\\)",
    ),
    "raises in reset": (
        environment(reset="raise KeyError('level')"),
        f"env = mine: reset raised KeyError: 'level' \\(envs.py:{RESET}\\)",
    ),
    "raises in step": (
        environment(step="raise ValueError('no such cell')"),
        f"env = mine: step raised ValueError: no such cell \\(envs.py:{STEP}\\)",
    ),
    "raises in a library": (
        environment(step="np.linalg.inv(np.zeros((2, 2)))"),
        f"env = mine: step raised LinAlgError: Singular matrix \\(envs.py:{STEP}\\)",
    ),
    "hangs in its constructor": (
        environment(init=FOREVER),
        f"env = mine: its constructor did not return in 2 s, which env_deadline sets \\(envs.py:{INIT}\\)",
    ),
    "hangs in reset": (
        environment(reset=FOREVER),
        f"env = mine: reset did not return in 2 s, which env_deadline sets \\(envs.py:{RESET}\\)",
    ),
    "hangs in step": (
        environment(step=LOOP),
        f"env = mine: step did not return in 2 s, which env_deadline sets \\(envs.py:{STEP}\\)",
    ),
    "an observation outside its space": (
        environment(step="return np.full(1, 7.0, np.float32), 0.0, False, {}"),
        f"env = mine: step gave an observation outside its space Box.*: 7\\.0 at \\[0\\] \\(envs.py:{CALLED}\\)",
    ),
    "an observation of another type": (
        environment(reset="return 'text'"),
        "env = mine: reset gave an observation outside its space Box.*: 'text': <U4 in place of float32 "
        f"\\(envs.py:{RESET - 1}\\)",
    ),
    "a reward that is not a number": (
        environment(step="return np.zeros(1, np.float32), float('nan'), False, {}"),
        f"env = mine: step gave the reward nan: expected a finite number \\(envs.py:{CALLED}\\)",
    ),
    "a reward that is nothing": (
        environment(step="return np.zeros(1, np.float32), None, False, {}"),
        f"env = mine: step gave the reward None: expected a finite number \\(envs.py:{CALLED}\\)",
    ),
    "five values": (
        environment(step="return np.zeros(1, np.float32), 0.0, False, False, {}"),
        "env = mine: step gave five values, .*: expected \\(observation, reward, done, info\\), as its reset does not "
        f"give \\(observation, info\\) \\(envs.py:{CALLED}\\)",
    ),
    "a requirement against the image": (
        "ENVS = {}",
        ".*requirements.txt: asked for numpy==1.24.4; the image holds numpy==1.23.5",
    ),
}
BEFORE_THE_JOB = ("no Python", "a script that ends itself", "no registry", "no environment of the id")
"""What needs nothing installed to be known, and leaves no job."""
OURS = ("run=PG", "env=mine", "config={}", "config.num_workers=0", "env_deadline=2")


def own_code(name: str, lab: Lab) -> Ran:
    source = lab.source(OWN[name][0])
    if "requirement" in name:
        (source / "requirements.txt").write_text("numpy==1.24.4\n")
    return lab.job("cartpole", *OURS, "--source", str(source))


def failed_cleanly(lab: Lab, ran: Ran, line: str) -> None:
    """The job says Failed with the line, which was printed; it has no model, and nothing half-made is left."""
    record = json.loads((lab.store / "wrong" / "job.json").read_text())
    assert record["TrainingJobStatus"] == "Failed" and "ModelArtifacts" not in record
    assert re.fullmatch(line, record["FailureReason"]), record["FailureReason"]
    assert "Traceback" not in ran.stdout + ran.stderr
    assert sum(printed == record["FailureReason"] for printed in lines(ran)) == 1, ran
    assert not (lab.store / "wrong" / "output" / "model.tar.gz").exists()
    assert not (lab.store / ".work").exists()
    assert [path for path in lab.store.rglob("*") if ".tmp" in path.name] == []


@pytest.mark.parametrize("name", OWN)
def test_what_is_wrong_with_ones_own_code_is_said_before_ray_starts(name: str, lab: Lab) -> None:
    ran = own_code(name, lab)
    assert ran.status == 2, ran
    assert "starting Ray" not in ran.stdout
    if name in BEFORE_THE_JOB:
        assert [line for line in lines(ran) if re.fullmatch(OWN[name][1], line)] == lines(ran)
        assert not lab.store.exists()
        return
    failed_cleanly(lab, ran, OWN[name][1])


# ---- what goes wrong later

LATER: Dict[str, Tuple[str, Sequence[str], str]] = {
    "raises": (
        "assert self.steps < 500, 'worn out'",
        (),
        f"env = mine: step raised AssertionError: worn out \\(envs.py:{STEP}\\)",
    ),
    "hangs": (
        f"if self.steps > 500: {FOREVER}",
        (),
        f"env = mine: step did not return in 2 s, which env_deadline sets \\(envs.py:{STEP}\\)",
    ),
    "hangs in one of Ray's workers": (
        f"if self.steps > 500: {FOREVER}",
        ("config.num_workers=1",),
        f"env = mine: step did not return in 2 s, which env_deadline sets \\(envs.py:{STEP}\\)",
    ),
    "hangs in a thread": (
        f"if self.steps > 500: {FOREVER}",
        ("config.sample_async=true",),
        f"env = mine: step did not return in 2 s, which env_deadline sets \\(envs.py:{STEP}\\)",
    ),
    # A lock that is taken twice is waited for in C, where no signal is looked at
    "hangs in a library": (
        "import ctypes; lib, lock = ctypes.CDLL('libpthread.so.0'), ctypes.create_string_buffer(64); "
        "self.steps > 500 and [lib.pthread_mutex_lock(lock) for _ in range(2)]",
        (),
        f"env = mine: step did not return in 2 s, which env_deadline sets \\(envs.py:{STEP}\\)",
    ),
}


@pytest.mark.parametrize("name", LATER)
def test_what_goes_wrong_while_it_trains_ends_the_job_and_keeps_what_there_was(name: str, lab: Lab) -> None:
    step, settings, line = LATER[name]
    source = lab.source(environment(step=step))
    words = (*OURS[:3], "config.num_workers=0", "env_deadline=2", "checkpoint_freq=1")
    words = (*(word for word in words if word.partition("=")[0] not in [s.partition("=")[0] for s in settings]),)
    began = time.monotonic()
    ran = lab.job("cartpole", *words, *settings, "stop.timesteps_total=100000", "--source", str(source))
    assert ran.status == 2, ran
    assert time.monotonic() - began < 120
    assert "iteration    1 " in ran.stdout
    record = json.loads((lab.store / "wrong" / "job.json").read_text())
    assert record["TrainingJobStatus"] == "Failed"
    assert re.fullmatch(line, record["FailureReason"]), record["FailureReason"]
    assert lines(ran).count(f"failed: {record['FailureReason']}") == 1, ran
    assert "Traceback" not in ran.stdout + ran.stderr
    assert list((lab.store / "wrong" / "checkpoints").glob("checkpoint_*"))
    assert (lab.store / "wrong" / "output" / "output.tar.gz").exists()
    assert not (lab.store / ".work").exists()


def test_a_disk_that_fills_up_fails_the_job_and_keeps_what_there_was(lab: Lab) -> None:
    lab.disk(lab.store, "32m")
    words = ("stop.episode_reward_mean=501", "stop.timesteps_total=10000000", "config.timesteps_per_iteration=0")
    process = start(local("cartpole", *words, "checkpoint_freq=1", "--job", "wrong", "--store", str(lab.store)))
    wait_for_line(process, "iteration    3 ")
    filler = lab.store / "filler"
    filled = subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=1k"], stderr=subprocess.PIPE, text=True)
    assert "No space left" in filled.stderr
    stdout, stderr = process.communicate(timeout=120)
    ran = Ran(process.returncode, stdout, stderr)
    assert ran.status == 1, ran
    filler.unlink()
    record = json.loads((lab.store / "wrong" / "job.json").read_text())
    assert record["TrainingJobStatus"] == "Failed", ran
    assert re.match(f"{disk.NO_SPACE}: the disk of {lab.store}/.* is full", record["FailureReason"]), ran
    assert "Traceback" not in stdout + stderr
    kept = [each.iteration for each in checkpoints.kept(lab.store / "wrong" / "checkpoints")]
    assert kept == list(range(kept[0], kept[-1] + 1)) and kept[-1] >= 2
    assert [path for path in lab.store.rglob("*") if ".tmp" in path.name] == []


def table() -> Iterator[Sequence[Any]]:
    """What ran, what it said and its exit status, of every row."""
    import tempfile

    cases = {**BEFORE, **{name: Refusal(lambda lab, name=name: own_code(name, lab), OWN[name][1]) for name in OWN}}
    for name, case in cases.items():
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            lab = Lab(Path(folder), stack)
            ran = case.of(lab)
            said = next((line for line in lines(ran) if re.fullmatch(case.line, line)), "?")
            yield name, said.replace(folder, "…").replace(str(REPOSITORY), "…"), ran.status


if __name__ == "__main__":
    print("| input | what is said | exit status |\n| --- | --- | --- |")
    for row in table():
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
