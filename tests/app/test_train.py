"""A real job in a process: what it prints, what it leaves, how it stops, how it goes on, how it fails."""

import json
import math
import re
import shutil
import signal
import sys

import psutil
import pytest

from rl_app.experiments import EXPERIMENTS
from rl_app.job import metrics
from tests.app.jobs import Finished, Ran, local, run, start, stop, wait_for_line

FLOAT = r"[-+]?[0-9]*[.]?[0-9]+([eE][-+]?[0-9]+)?"
NO_GOAL = ("stop.episode_reward_mean=501", "stop.timesteps_total=1000000000")
ENDLESS = (*NO_GOAL, "checkpoint_freq=2", "config.timesteps_per_iteration=0")


def test_it_is_completed_and_says_so(trained):
    assert trained.record["TrainingJobStatus"] == "Completed"
    assert trained.record["HyperParameters"]["experiment"] == "cartpole"
    assert trained.record["HyperParameters"]["seed"] == "1"


def test_each_iteration_is_one_line_with_the_metrics_of_the_sdk(trained):
    lines = [line for line in trained.ran.stdout.splitlines() if line.startswith("iteration ")]
    assert len(lines) == 6
    assert all(re.search(f"episode_reward_mean: {FLOAT}.*episode_reward_max: {FLOAT}", line) for line in lines)
    assert "nan" not in trained.ran.stdout.lower()


def test_the_noise_of_ray_and_tensorflow_is_in_the_log_and_not_on_the_screen(trained, output):
    for noise in ("WARNING", "tensorflow", "sagemaker-training-toolkit", "Gym has been unmaintained"):
        assert noise not in trained.ran.stdout + trained.ran.stderr
    assert "Gym has been unmaintained" in (output / "train.log").read_text()


def test_what_tunes_trial_folder_has_is_in_the_output(output):
    rows = metrics.read(output)
    results = [json.loads(line) for line in (output / "result.json").read_text().splitlines()]
    assert [row["training_iteration"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["timesteps_total"] for row in rows] == [result["timesteps_total"] for result in results]
    assert json.loads((output / "params.json").read_text())["env"] == "CartPole-v1"
    assert len((output / "progress.csv").read_text().splitlines()) == 7
    assert list(output.glob("events.out.tfevents.*"))


def test_a_video_of_the_exported_policy_and_the_report_are_in_the_output(output, model):
    training = json.loads((model / "policy.json").read_text())["training"]
    (video,) = sorted((output / "videos").glob("*.mp4"))[-1:]
    assert (
        f"{training['training_iteration']:06d}" in video.name and f"{training['episode_reward_mean']:.2f}" in video.name
    )
    assert video.read_bytes()[4:8] == b"ftyp"
    report = (output / "report.html").read_text()
    assert "CartPole-v1" in report and "data:video/mp4;base64," in report


def test_live_output_is_in_the_store_as_it_is_in_the_archive(trained, output):
    live = trained.directory / "output" / "intermediate"
    assert metrics.read(live) == metrics.read(output)


def test_checkpoints_kept_are_the_newest_two_and_the_best(trained):
    rows = metrics.read(trained.directory / "checkpoints")
    reward = {row["training_iteration"]: row["episode_reward_mean"] or -math.inf for row in rows}
    best = max((2, 4, 6), key=lambda iteration: (reward[iteration], iteration))
    kept = {entry.name for entry in (trained.directory / "checkpoints").glob("checkpoint_*")}
    assert kept == {f"checkpoint_{iteration}" for iteration in {4, 6, best}}


def test_the_model_is_the_best_checkpoint(trained, model):
    facts = json.loads((model / "policy.json").read_text())
    iteration = facts["training"]["training_iteration"]
    kept = trained.directory / "checkpoints" / f"checkpoint_{iteration}" / f"checkpoint-{iteration}"
    assert (model / "checkpoint").read_bytes() == kept.read_bytes()
    rows = metrics.read(trained.directory / "checkpoints")
    rewards = {row["training_iteration"]: row["episode_reward_mean"] for row in rows}
    assert rewards[iteration] == max(rewards[checkpoint] for checkpoint in (2, 4, 6))


def test_nothing_of_the_job_is_left_outside_its_folder(trained):
    assert [entry.name for entry in trained.store.iterdir() if entry.name == ".work" and any(entry.iterdir())] == []


@pytest.mark.parametrize("experiment", sorted(EXPERIMENTS))
def test_every_experiment_trains_and_exports(experiment, tmp_path):
    small = ("stop.training_iteration=1", "config.num_workers=0")
    ran = run(local(experiment, *small, *SMALLER.get(experiment, ()), "--job", "one", "--store", str(tmp_path)))
    assert ran.status == 0, ran
    assert (Finished(tmp_path, "one", ran).unpack("model.tar.gz", tmp_path) / "policy.onnx").exists()


SMALLER = {"cartpole-aws": ("config.train_batch_size=2000",)}


def stopped_by(number, store):
    process = start(local("cartpole", *ENDLESS, "--job", "stopped", "--store", str(store)))
    wait_for_line(process, "iteration    3")
    return Finished(store, "stopped", stop(process, number, deadline_s=30))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    return stopped_by(signal.SIGTERM, tmp_path_factory.mktemp("stopped"))


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stop_leaves_a_checkpoint_and_a_model_and_says_stopped(number, status, stopped, tmp_path):
    job = stopped if number == signal.SIGTERM else stopped_by(number, tmp_path)
    assert job.ran.status == status, job.ran
    assert job.record["TrainingJobStatus"] == "Stopped"
    last = metrics.read(job.directory / "checkpoints")[-1]["training_iteration"]
    assert (job.directory / "checkpoints" / f"checkpoint_{last}" / f"checkpoint-{last}").exists()
    assert (job.unpack("model.tar.gz", tmp_path / "model") / "policy.onnx").exists()


def test_a_stopped_job_goes_on_where_it_was(stopped, tmp_path):
    shutil.copytree(stopped.directory, tmp_path / "stopped")
    before = metrics.read(tmp_path / "stopped" / "checkpoints")
    end = before[-1]["training_iteration"] + 2
    ran = run(local(f"stop.training_iteration={end}", "--resume", "stopped", "--store", str(tmp_path)))
    job = Finished(tmp_path, "stopped", ran)
    assert ran.status == 0, ran
    assert f"going on from iteration {before[-1]['training_iteration']}" in ran.stdout
    after = metrics.read(job.directory / "checkpoints")
    assert after[: len(before)] == before
    assert [row["training_iteration"] for row in after] == list(range(1, end + 1))
    assert job.record["TrainingJobStatus"] == "Completed"
    further = run(local(f"stop.training_iteration={end + 1}", "--resume", "stopped", "--store", str(tmp_path)))
    assert f"going on from iteration {end}" in further.stdout, further
    assert [row["training_iteration"] for row in metrics.read(job.directory / "checkpoints")] == list(range(1, end + 2))


def test_a_worker_that_is_killed_fails_the_job_and_leaves_what_there_was(tmp_path):
    settings = ("config.num_workers=1", "checkpoint_freq=1")
    process = start(local("cartpole", *NO_GOAL, *settings, "--job", "failed", "--store", str(tmp_path)))
    wait_for_line(process, "iteration    2")
    workers = [
        child for child in psutil.Process(process.pid).children(recursive=True) if "RolloutWorker" in child.name()
    ]
    assert workers
    for worker in workers:
        worker.kill()
    stdout, stderr = process.communicate(timeout=60)
    job = Finished(tmp_path, "failed", Ran(process.returncode, stdout, stderr))
    assert process.returncode == 1, job.ran
    assert job.record["TrainingJobStatus"] == "Failed"
    assert "a worker process of Ray's was ended in the middle" in job.record["FailureReason"]
    assert job.record["FailureReason"] in stdout
    assert "Traceback" not in stdout + stderr
    assert "Traceback" in (job.unpack("output.tar.gz", tmp_path / "output") / "train.log").read_text()
    assert list((job.directory / "checkpoints").glob("checkpoint_*"))


@pytest.mark.parametrize("of", ["the trial's folder", "the model"])
def test_plain_rllib_restores_a_checkpoint_by_its_params(of, trained, model):
    """As `rllib rollout --config` and AWS's evaluation script do: all that params.json holds is the agent's config."""
    if of == "the model":
        params, checkpoint = model / "params.json", model / "checkpoint"
    else:
        params = trained.directory / "output" / "intermediate" / "params.json"
        checkpoint = trained.directory / "checkpoints" / "checkpoint_6" / "checkpoint-6"
    program = f"""
import json
import numpy as np
import ray
from ray.rllib.agents.registry import get_agent_class
ray.init(num_cpus=2, include_webui=False, log_to_driver=False)
config = json.load(open({str(params)!r}))
agent = get_agent_class("PPO")(config=config, env="CartPole-v1")
agent.restore({str(checkpoint)!r})
assert agent.compute_action(np.zeros(4, np.float32)) in (0, 1)
print("restored", agent.iteration)
"""
    ran = run([sys.executable, "-c", program])
    assert re.search("restored [1-6]$", ran.stdout, re.MULTILINE), ran
    assert "<class" not in params.read_text()


def test_the_same_seed_gives_the_same_learning_curve_to_the_last_digit(tmp_path):
    """With the default experiment as it is, whose iterations must not depend on the clock either."""
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        ran = run(local(f"seed={seed}", "stop.training_iteration=3", "--job", name, "--store", str(tmp_path)))
        assert ran.status == 0, ran
    curve = learning_curve(tmp_path / "first")
    assert len(curve) == 3
    assert learning_curve(tmp_path / "again") == curve
    assert learning_curve(tmp_path / "other") != curve


def learning_curve(job):
    return [
        {key: value for key, value in row.items() if "time" not in key and key != "steps_per_s"}
        for row in metrics.read(job / "checkpoints")
    ]
