"""Real jobs that are stopped before they have done anything, and in an iteration that waits for a worker."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Callable, Dict, Iterator

import psutil
import pytest

from tests.app.jobs import Finished, Ran, local, start, stop, wait_for_line
from tests.waiting import until

SLOW = """
import pathlib, time
import gym
import numpy as np

class Slow(gym.Env):
    observation_space = gym.spaces.Box(-1.0, 1.0, (4,), np.float32)
    action_space = gym.spaces.Discrete(2)
    steps = 0

    def reset(self):
        return np.zeros(4, np.float32)

    def step(self, action):
        self.steps += 1
        if pathlib.Path({here!r}, "slow").exists():
            pathlib.Path({here!r}, "stepping").touch()
            time.sleep(2.0)
        return np.zeros(4, np.float32), 1.0, self.steps % 10 == 0, {{}}

ENVS = {{"Slow": lambda _: Slow()}}
"""

Moment = Callable[[psutil.Process, Path], object]


def family(process: psutil.Process) -> Iterator[psutil.Process]:
    yield from process.children(recursive=True)


def mapped(process: psutil.Process, library: str) -> bool:
    """Whether a process that is neither the videos' nor Ray's has the library."""
    return any(
        library in Path(f"/proc/{child.pid}/maps").read_text()
        for child in family(process)
        if child.cmdline()[-1:] == ["train"]
    )


MOMENTS: Dict[str, Moment] = {
    "the job has just begun": lambda process, base: (
        list(family(process)) and (base.parents[1] / base.name / "job.json").exists()
    ),
    "it checks the job": lambda process, base: (base / "output/intermediate/train.log").exists(),
    "it says that Ray starts": lambda process, base: (
        "starting Ray" in (base / "output/intermediate/train.log").read_text()
    ),
    "Ray is imported": lambda process, base: mapped(process, "_raylet.so"),
    "Ray starts": lambda process, base: any("redis" in child.name() for child in family(process)),
    "Ray runs": lambda process, base: any(child.name() == "raylet" for child in family(process)),
    "TensorFlow is imported": lambda process, base: mapped(process, "libtensorflow"),
    "the trainer is built": lambda process, base: (base / "output/intermediate/params.json").exists(),
}
WITHOUT_RAY = ("the job has just begun", "it checks the job", "TensorFlow is imported", "the trainer is built")
"""Moments of a job that has no workers."""
STOPS = [
    *(("cartpole-aws", moment) for moment in sorted(MOMENTS)),
    *(("cartpole", moment) for moment in WITHOUT_RAY),
]


@pytest.mark.parametrize(("experiment", "moment"), STOPS)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_job_stopped_before_an_iteration_is_done_is_stopped_and_has_no_model(
    experiment: str, moment: str, number: int, status: int, tmp_path: Path
) -> None:
    # An iteration that would take long: the stop has to come before its end
    process = start(
        local(experiment, "config.timesteps_per_iteration=1000000", "--job", "early", "--store", str(tmp_path))
    )
    watched, base = psutil.Process(process.pid), tmp_path / ".work/early"
    until(lambda: MOMENTS[moment](watched, base), 60)
    began = time.monotonic()
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    job = Finished(tmp_path, "early", Ran(process.returncode, stdout, stderr))
    assert (process.returncode, job.record["TrainingJobStatus"]) == (status, "Stopped"), job.ran
    assert time.monotonic() - began < 30
    assert "FailureReason" not in job.record and "ModelArtifacts" not in job.record
    assert "Traceback" not in stdout + stderr and "SystemExit" not in stdout + stderr
    assert not list(job.directory.rglob("checkpoint_*")) and not list(job.directory.rglob("*.mp4"))
    if moment != "the job has just begun":
        assert "stopped before an iteration was done: there is no model" in stdout


@pytest.mark.parametrize("iterations", [0, 2])
def test_a_stop_ends_an_iteration_that_waits_for_a_worker(iterations: int, tmp_path: Path) -> None:
    """Of which a step takes 2 s, and the iteration many minutes."""
    (tmp_path / "envs.py").write_text(SLOW.format(here=str(tmp_path)))
    small = ("config.train_batch_size=100", "config.sgd_minibatch_size=50", "config.rollout_fragment_length=50")
    words = ("env=Slow", "config.num_workers=1", *small, "seed=1", "--source", str(tmp_path))
    process = start(local("cartpole", *words, "--job", "slow", "--store", str(tmp_path / "store")))
    if iterations:
        wait_for_line(process, f"iteration {iterations:>4}")
    else:
        until((tmp_path / "store/.work/slow/output/intermediate/params.json").exists, 120)
    (tmp_path / "slow").touch()
    until((tmp_path / "stepping").exists, 60)
    ran = stop(process, deadline_s=60)
    job = Finished(tmp_path / "store", "slow", ran)
    assert (ran.status, job.record["TrainingJobStatus"]) == (143, "Stopped"), ran
    assert "the iteration did not end in 10 s, and is dropped" in ran.stdout
    assert ("ModelArtifacts" in job.record) == (iterations > 0)
    assert bool(list(job.directory.glob("checkpoints/checkpoint_*"))) == (iterations > 0)
    assert ("there is no model" in ran.stdout) == (iterations == 0)
