"""Each command that a job names at its end, run as it is printed."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Dict, Iterator, List

import pytest

from tests.app.jobs import REPOSITORY, SHORT, Ran

QUICK = ("stop.training_iteration=1", "config.train_batch_size=256", "config.sgd_minibatch_size=64")
UNSET = ("EXPERIMENT", "HYPERPARAMETERS", "JOB", "MODEL", "STORE")


def typed(command: str, folder: Path = REPOSITORY, **environ: str) -> Ran:
    """What a person types in a folder; no store but directories answers."""
    settings: Dict[str, str] = {key: value for key, value in os.environ.items() if key not in UNSET}
    done = subprocess.run(
        command,
        shell=True,
        cwd=str(folder),
        env={**settings, "S3_PORT": "1", **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=240,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def hints(ran: Ran) -> List[str]:
    lines = [line for line in ran.stderr.splitlines() if line.startswith("  next")]
    return [line[len("  next   ") :].split("    ")[0] for line in lines]


@pytest.fixture
def job() -> Iterator[str]:
    """A name for a job, whose fetched copy in runs/ is removed."""
    name = f"test-hints-{uuid.uuid4().hex[:8]}"
    yield name
    shutil.rmtree(str(REPOSITORY / "runs" / name), ignore_errors=True)


def follow(ran: Ran, expected: int, allowed: int = 0, folder: Path = REPOSITORY) -> List[Ran]:
    """Runs each of the hints, of which there are ``expected``."""
    assert len(hints(ran)) == expected, ran.stderr
    followed = [typed(hint, folder) for hint in hints(ran)]
    assert [(hint, done) for hint, done in zip(hints(ran), followed) if done.status not in (0, allowed)] == []
    return followed


def test_after_a_training_and_after_the_evaluation_that_it_names(job: str, tmp_path: Path) -> None:
    ran = typed(f"scripts/train {' '.join(QUICK)} seed=1 --job {job} --engine process --store {tmp_path}")
    evaluated, again = follow(ran, 2)
    assert "seed=2" in hints(ran)[1] and "config.train_batch_size=256" in hints(ran)[1]
    assert "training in Docker" not in again.stderr
    assert "iteration    2" not in again.stdout
    (fetched,) = follow(evaluated, 1)
    assert "report.html" in fetched.stdout
    name = evaluated.stderr.partition("job ")[2].partition(":")[0]
    shutil.rmtree(str(REPOSITORY / "runs" / name))


def test_after_a_training_with_a_source(job: str, tmp_path: Path) -> None:
    words = f"corridor stop.training_iteration=1 --source examples/corridor --job {job} --engine process"
    follow(typed(f"scripts/train {words} --store {tmp_path}"), 2)


def test_from_another_folder_with_a_store_of_the_environment(job: str, tmp_path: Path) -> None:
    words = f"{REPOSITORY}/scripts/train {' '.join(QUICK)} --job {job} --engine process"
    ran = typed(words, tmp_path, STORE="mine")
    assert f"  report mine/{job}/output/intermediate/report.html" in ran.stderr.splitlines()
    follow(ran, 2, folder=tmp_path)
    assert len(list((tmp_path / "mine").glob("*/job.json"))) == 3


def test_after_a_program(job: str, tmp_path: Path) -> None:
    program = "--program examples/program/random_search.py tries=2"
    (fetched,) = follow(typed(f"scripts/train {program} --job {job} --engine process --store {tmp_path}"), 1)
    assert f"runs/{job}" in fetched.stdout


def test_after_a_stop(job: str, tmp_path: Path) -> None:
    words = "cartpole stop.timesteps_total=1000000000 stop.episode_reward_mean=1000 max_run=20 checkpoint_freq=1"
    ran = typed(f"scripts/train {words} --job {job} --engine process --store {tmp_path}")
    assert ran.status == 143, ran
    (resumed,) = follow(ran, 1, allowed=143)
    assert "resum" in resumed.stdout or "going on" in resumed.stdout or "checkpoint" in resumed.stdout


@pytest.mark.parametrize("words", ["env=CartPoll-v1", "--source {source} mine"])
def test_an_environment_that_is_not_there_is_refused_once_and_leaves_nothing(words: str, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    trial = "{'run': 'PPO', 'env': 'CartPoll-v1', 'stop': {'training_iteration': 1}}"
    (tmp_path / "own" / "experiments.py").write_text(f"EXPERIMENTS = {{'mine': {trial}}}\n")
    given = words.format(source=tmp_path / "own")
    ran = typed(f"scripts/train {given} --job refused --engine process --store {tmp_path / 'store'}")
    (line,) = [line for line in ran.stderr.splitlines() if "CartPoll" in line]
    assert ran.status == 2 and line.startswith("env = CartPoll-v1: no environment of this job or of gym")
    assert hints(ran) == [] and not (tmp_path / "store").exists()


def test_a_reason_that_only_the_job_can_know_is_said_once(tmp_path: Path) -> None:
    words = " ".join([*SHORT, "env=CartPole-v1", """'env_config={"wrong": 1}'"""])
    ran = typed(f"scripts/train {words} --job wrong --engine process --store {tmp_path}")
    assert ran.status == 2
    assert (ran.stdout + ran.stderr).count("unexpected keyword argument 'wrong'") == 1
    assert "scripts/train --resume" not in ran.stderr
