"""`docker compose`: the real image, the real MinIO, as a person on a laptop uses them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple

import pytest

from rl_app.store import Store, open_store
from scripts import stopping, stores
from tests.ports import free_port
from tests.waiting import until

REPOSITORY = Path(__file__).parents[2]
SHORT = "stop.training_iteration=2 config.timesteps_per_iteration=0"


class Ran(NamedTuple):
    status: int
    output: str


class Stack:
    """A copy of the repository, and the compose project in it."""

    def __init__(self, root: Path, environment: Dict[str, str]) -> None:
        self.root = root
        self.environment = {**os.environ, **environment}
        self.port = environment["S3_PORT"]

    def compose(self, *words: str, deadline_s: float = 900, **environment: str) -> Ran:
        done = subprocess.run(
            ["docker", "compose", *words],
            cwd=str(self.root),
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=deadline_s,
            universal_newlines=True,
        )
        return Ran(done.returncode, done.stdout)

    @property
    def store(self) -> Store:
        return open_store(
            "s3://rllib",
            {
                "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{self.port}",
                "AWS_ACCESS_KEY_ID": "tester",
                "AWS_SECRET_ACCESS_KEY": "tester-secret",
            },
        )

    def record(self, job: str) -> Dict[str, object]:
        record: Dict[str, object] = json.loads(self.store.read(f"{job}/job.json"))
        return record

    def jobs(self) -> List[str]:
        return [entry.key.split("/")[0] for entry in self.store.list("") if entry.key.endswith("/job.json")]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    root = tmp_path_factory.mktemp("stack") / "repository"
    shutil.copytree(
        str(REPOSITORY),
        str(root),
        ignore=shutil.ignore_patterns(".git", ".venv*", "runs", "__pycache__", ".*cache"),
    )
    port = free_port()
    made = Stack(
        root,
        {
            "COMPOSE_PROJECT_NAME": f"rllib-test-{os.getpid()}",
            "S3_PORT": str(port),
            "S3_ACCESS_KEY": "tester",
            "S3_SECRET_KEY": "tester-secret",
            "HYPERPARAMETERS": SHORT,
        },
    )
    try:
        yield made
    finally:
        made.compose("--profile", "*", "down", "--volumes", "--timeout", "5")


@pytest.fixture(scope="module")
def up(stack: Stack) -> Ran:
    """`docker compose up train`, from nothing."""
    return stack.compose("up", "train", JOB="first", AWS_SECRET_ACCESS_KEY="the-callers-own-secret")


def test_up_trains_uploads_says_where_and_what_next_and_exits_0(stack: Stack, up: Ran) -> None:
    assert up.status == 0, up.output
    for said in ("s3://rllib/first/output/model.tar.gz", "next", "iteration    2"):
        assert said in up.output
    assert stack.record("first")["TrainingJobStatus"] == "Completed"
    keys = {entry.key for entry in stack.store.list("first")}
    assert {
        "first/output/model.tar.gz",
        "first/output/output.tar.gz",
        "first/output/intermediate/metrics.jsonl",
    } <= keys
    assert any(key.startswith("first/checkpoints/checkpoint_2/") for key in keys)


def test_the_store_listens_on_loopback_only(stack: Stack, up: Ran) -> None:
    assert stack.compose("port", "minio", "9000").output.strip() == f"127.0.0.1:{stack.port}"


def test_the_callers_keys_stay_out_of_the_containers(stack: Stack, up: Ran) -> None:
    assert (
        "the-callers-own-secret" not in stack.compose("config", AWS_SECRET_ACCESS_KEY="the-callers-own-secret").output
    )


def test_run_returns_the_status_of_the_job(stack: Stack, up: Ran) -> None:
    refused = stack.compose("run", "--rm", "-T", "train", EXPERIMENT="cart-pole")
    assert refused.status == 2 and "cart-pole" in refused.output
    taken = stack.compose("run", "--rm", "-T", "train", JOB="first")
    assert taken.status == 2 and "first" in taken.output
    assert stack.jobs() == ["first"]


def test_a_second_job_stands_beside_the_first_and_runs_the_edited_source(stack: Stack, up: Ran) -> None:
    source = stack.root / "rl_app" / "console.py"
    source.write_text(source.read_text().replace("no episode has ended yet", "edited").replace(" episodes", " EDITED"))
    began = time.monotonic()
    second = stack.compose("up", "train")
    assert second.status == 0 and " EDITED" in second.output, second.output
    assert time.monotonic() - began < 120
    assert len(stack.jobs()) == 2 and "first" in stack.jobs()


def test_an_unreachable_store_is_one_line_and_status_2(stack: Stack, up: Ran) -> None:
    ran = stack.compose("run", "--rm", "-T", "--no-deps", "-e", "AWS_ENDPOINT_URL_S3=http://127.0.0.1:1", "train")
    assert ran.status == 2, ran.output
    assert "s3://rllib" in ran.output and "cannot reach http://127.0.0.1:1" in ran.output
    assert "Traceback" not in ran.output


def test_wrong_keys_are_one_line_and_status_2(stack: Stack, up: Ran) -> None:
    ran = stack.compose("run", "--rm", "-T", "-e", "AWS_SECRET_ACCESS_KEY=wrong-secret", "train")
    assert ran.status == 2 and "refused the credentials" in ran.output, ran.output
    assert "wrong-secret" not in ran.output


def test_stopping_saves_and_says_stopped_and_the_job_goes_on(stack: Stack, up: Ran) -> None:
    endless = "stop.training_iteration=100000 config.timesteps_per_iteration=0"
    process = subprocess.Popen(
        ["docker", "compose", "up", "train"],
        cwd=str(stack.root),
        env={**stack.environment, "JOB": "stopped", "HYPERPARAMETERS": endless},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: any("metrics.jsonl" in entry.key for entry in stack.store.list("stopped/checkpoints")), 300)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)
    assert stack.record("stopped")["TrainingJobStatus"] == "Stopped"
    done = len(stack.store.read("stopped/checkpoints/metrics.jsonl").splitlines())
    ran = stack.compose(
        "run",
        "--rm",
        "-T",
        "train",
        "local",
        "train",
        "--resume",
        "stopped",
        f"stop.training_iteration={done + 1}",
        HYPERPARAMETERS="",
    )
    assert ran.status == 0 and f"going on from iteration {done}" in ran.output, ran.output
    assert stack.record("stopped")["TrainingJobStatus"] == "Completed"


def test_the_newest_model_is_served_on_loopback_only(stack: Stack, up: Ran) -> None:
    port = free_port()
    environment = {"SERVE_PORT": str(port), "MODEL": "first"}
    try:
        started = stack.compose("up", "--detach", "--wait", "serve", **environment)
        assert started.status == 0, started.output
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations",
            b'{"observations": [[0.01, 0.02, -0.03, 0.04]]}',
            {"Content-Type": "application/json"},
        )
        assert json.load(urllib.request.urlopen(request, timeout=10))["outputs"]["actions_0"][0] in (0, 1)
        assert stack.compose("port", "serve", "8080", **environment).output.strip() == f"127.0.0.1:{port}"
        assert f"http://127.0.0.1:{port}/" in stack.compose("logs", "serve", **environment).output
        began = time.monotonic()
        assert stack.compose("stop", "serve", **environment).status == 0
        assert time.monotonic() - began < 8, "it ends at SIGTERM"
    finally:
        stack.compose("rm", "--stop", "--force", "serve")


def test_scripts_stop_finds_the_container_and_the_job_saves(
    stack: Stack, up: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "ROOT", stack.root)
    endless = "stop.training_iteration=100000 config.min_iter_time_s=0"
    process = subprocess.Popen(
        ["docker", "compose", "run", "--rm", "-T", "train"],
        cwd=str(stack.root),
        env={**stack.environment, "JOB": "by-script", "HYPERPARAMETERS": endless},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: stack.store.read("by-script/checkpoints/metrics.jsonl"), 120)
        job = stores.Job("by-script", stores.Place("compose", stack.store), stack.record("by-script"))
        assert stopping.stop_here(job, wait=False) == 0
        process.wait(timeout=60)
    finally:
        process.kill()
    assert stack.record("by-script")["TrainingJobStatus"] == "Stopped"
    assert stack.store.read("by-script/output/model.tar.gz")


def test_up_evaluates_the_newest_job_and_several_by_name(stack: Stack, up: Ran) -> None:
    completed = [name for name in stack.jobs() if stack.record(name)["TrainingJobStatus"] == "Completed"]
    newest = max(completed, key=lambda name: str(stack.record(name)["CreationTime"]))
    alone = stack.compose("up", "evaluate", JOB="how-good", HYPERPARAMETERS="evaluate_episodes=3 seed=7 videos=1")
    assert alone.status == 0, alone.output
    assert alone.output.count("Episode reward: ") == 3 and f"{newest}: PPO in CartPole-v1" in alone.output
    assert stack.record("how-good")["TrainingJobStatus"] == "Completed"
    (channel,) = stack.record("how-good")["InputDataConfig"]
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == f"s3://rllib/{newest}/output/model.tar.gz"
    models = "first s3://rllib/first/output/model.tar.gz"
    both = stack.compose("up", "evaluate", MODEL=models, HYPERPARAMETERS="evaluate_episodes=2 videos=0")
    assert both.status == 0, both.output
    assert "first-2 - first" in both.output


def script(stack: Stack, *words: str) -> Ran:
    """A script of the copy, with Docker."""
    done = subprocess.run(
        [str(stack.root / "scripts" / words[0]), "--engine", "docker", *words[1:]],
        cwd=str(stack.root),
        env={**stack.environment, "HYPERPARAMETERS": ""},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=600,
        text=True,
    )
    return Ran(done.returncode, done.stdout)


def test_an_environment_of_ones_own_trains_without_a_new_image(stack: Stack, up: Ran) -> None:
    words = ("corridor", "stop.training_iteration=1", "--source", "examples/corridor", "--job", "corridor")
    ran = script(stack, "train", *words)
    assert ran.status == 0 and "PPO on corridor" in ran.output, ran.output
    assert stack.record("corridor")["TrainingJobStatus"] == "Completed"
    assert stack.store.read("corridor/source/sourcedir.tar.gz")


def test_a_program_of_ones_own_runs_without_a_new_image(stack: Stack, up: Ran) -> None:
    ran = script(stack, "train", "tries=3", "--program", "examples/program/random_search.py", "--job", "program")
    assert ran.status == 0 and "try 0: episode_reward_max" in ran.output, ran.output
    assert stack.record("program")["TrainingJobStatus"] == "Completed"


def test_the_board_shows_the_jobs_on_loopback_only(stack: Stack, up: Ran) -> None:
    port = free_port()
    try:
        started = stack.compose("up", "--detach", "board", BOARD_PORT=str(port))
        assert started.status == 0, started.output
        runs = f"http://127.0.0.1:{port}/data/runs"
        until(lambda: "first" in json.loads(urllib.request.urlopen(runs, timeout=5).read()), 120)
        assert stack.compose("port", "board", "6006", BOARD_PORT=str(port)).output.strip() == f"127.0.0.1:{port}"
        began = time.monotonic()
        assert stack.compose("stop", "board", BOARD_PORT=str(port)).status == 0
        assert time.monotonic() - began < 8, "it ends at SIGTERM"
    finally:
        stack.compose("rm", "--stop", "--force", "board")
