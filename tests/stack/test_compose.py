"""`docker compose`: the real image, the real MinIO, as a person on a laptop uses them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple

import pytest

from rl_app.storage.base import Store
from rl_app.storage.opening import open_store
from scripts.commands import stop
from scripts.lib import engine, jobs, stores
from tests.ports import free_port
from tests.pty_run import on_terminal
from tests.waiting import until

REPOSITORY = Path(__file__).parents[2]
SHORT = "stop.training_iteration=2 config.timesteps_per_iteration=0"
ENDLESS_ITERATION = "config.train_batch_size=10000000"


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
    def minio(self) -> Dict[str, str]:
        return {
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "tester-secret",
        }

    @cached_property
    def store(self) -> Store:
        return open_store("s3://rllib", self.minio)

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
        ignore=shutil.ignore_patterns(".git", ".venv*", ".tools", "build", "runs", "__pycache__", ".*cache"),
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
    """`docker compose up train`, from nothing; what that has built no other command builds again."""
    ran = stack.compose("up", "train", JOB="first", AWS_SECRET_ACCESS_KEY="the-callers-own-secret")
    stack.environment.update(engine.READY)
    return ran


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


@pytest.mark.parametrize("columns", [80, 0])
def test_run_on_a_terminal_says_each_thing_once_and_logs_its_iterations(stack: Stack, up: Ran, columns: int) -> None:
    """As a person's terminal, and as one without a size: what the SageMaker SDK's local mode makes."""
    job = f"terminal-{columns}"
    shown = on_terminal(
        ["docker", "compose", "run", "--rm", "train"], columns, stack.root, 300, {**stack.environment, "JOB": job}
    )
    log = stack.store.read(f"{job}/output/intermediate/train.log").decode()
    assert shown.status == 0, shown.raw
    for number in (1, 2):
        assert sum(line.startswith(f"iteration {number:>4} ") for line in shown.lines) == 1, shown.lines
        assert len(re.findall(f"^iteration +{number}  .* episodes  .* steps/s", log, re.MULTILINE)) == 1
    assert "\x1b" not in log and "\r" not in log
    assert "WARNING" not in shown.raw and "Gym has been unmaintained" not in shown.raw


@pytest.mark.parametrize("seconds", [1.0, 2.0, 3.0, 4.0, 6.0])
def test_ctrl_c_while_it_starts_is_a_stop(stack: Stack, up: Ran, seconds: float) -> None:
    job = f"early-{seconds:.0f}"
    process = subprocess.Popen(
        ["docker", "compose", "run", "--rm", "-T", "--name", f"rllib-test-{os.getpid()}-{job}", "train"],
        cwd=str(stack.root),
        env={**stack.environment, "JOB": job, "HYPERPARAMETERS": ENDLESS_ITERATION, "EXPERIMENT": "cartpole-aws"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        start_new_session=True,
    )
    until(lambda: stack.record(job), 60)
    with suppress(subprocess.TimeoutExpired):  # a moment of its own for each
        process.wait(seconds)
    subprocess.run(["docker", "kill", "--signal", "INT", f"rllib-test-{os.getpid()}-{job}"], check=True)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    record = stack.record(job)
    assert record["TrainingJobStatus"] == "Stopped" and "FailureReason" not in record
    assert "SystemExit" not in output and "ModelArtifacts" not in record


def test_a_second_job_stands_beside_the_first_and_runs_the_edited_source(stack: Stack, up: Ran) -> None:
    source = stack.root / "rl_app" / "terminal" / "console.py"
    source.write_text(source.read_text().replace("no episode has ended yet", "edited").replace(" episodes", " EDITED"))
    began, before = time.monotonic(), stack.jobs()
    second = stack.compose("up", "train", IMAGE_POLICY="build")
    assert second.status == 0 and " EDITED" in second.output, second.output
    assert time.monotonic() - began < 120
    assert len(stack.jobs()) == len(before) + 1 and set(before) < set(stack.jobs())


def test_packages_of_debians_are_in_an_image_of_their_own(stack: Stack, up: Ran) -> None:
    asked = ("run", "--rm", "-T", "--no-deps", "--entrypoint", "sh", "train", "-c", "command -v tree; echo $RL_IMAGE")
    for packages, said in (("tree", "/usr/bin/tree\nsagemaker-rllib:cpu-debian\n"), ("", "sagemaker-rllib:cpu\n")):
        ran = stack.compose(*asked, DEBIAN=packages, IMAGE_POLICY="build")
        assert ran.status == 0 and ran.output.endswith(said), ran.output
    assert "tree" not in ran.output


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
    monkeypatch.setattr(stop, "ROOT", stack.root)
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
        job = jobs.Job("by-script", stores.NamedStore("compose", stack.store), stack.record("by-script"))
        assert stop.stop_here(job, wait=False) == 0
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


AWAY = """
import os, pathlib, socket, time
model = pathlib.Path("/opt/ml/model")
assert model.samefile(os.environ["SM_MODEL_DIR"])
(model / "policy").write_text("learnt")
try:
    while True:
        socket.create_connection(("minio", 9000), 1).close()
        time.sleep(0.05)
except OSError:
    pathlib.Path("/opt/ml/checkpoints/last").write_text("of when the store had gone")
"""
"""A program that ends when the store does, and knows no place but /opt/ml."""
IMPATIENT = "import sys; from rl_app.local import job; sys.exit(job.main(sys.argv[1:], grace=3))"


def test_what_docker_could_not_upload_outlives_its_container_and_is_brought(
    stack: Stack, up: Ran, tmp_path: Path
) -> None:
    (tmp_path / "away.py").write_text(AWAY)
    mounted = ["--volume", f"{tmp_path / 'away.py'}:/mnt/away.py:ro", "--entrypoint", "python"]
    words = ["-c", IMPATIENT, "train", "--program", "/mnt/away.py", "--job", "away"]
    job = subprocess.Popen(
        ["docker", "compose", "run", "--rm", "-T", *mounted, "train", *words],
        cwd=str(stack.root),
        env={**stack.environment, "HYPERPARAMETERS": ""},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until(lambda: "TrainingStartTime" in stack.record("away"), 120)
    assert stack.compose("stop", "minio").status == 0
    output, _ = job.communicate(timeout=120)
    assert job.returncode == 1, output
    volume = f"{stack.environment['COMPOSE_PROJECT_NAME']}_jobs"
    assert f"  kept   /jobs/away of the volume {volume}, for it holds" in output
    hint = output.partition("  next   ")[2].split("    ")[0].split()
    assert hint == ["scripts/upload", "away"], output
    assert stack.compose("start", "minio").status == 0
    until(lambda: stack.record("away"), 60)
    brought = script(stack, "upload", "away")
    assert brought.status == 0, brought.output
    assert stack.record("away")["TrainingJobStatus"] == "Completed"
    assert stack.store.read("away/output/model.tar.gz")
    assert stack.store.read("away/checkpoints/last") == b"of when the store had gone"
    left = stack.compose("run", "--rm", "-T", "--entrypoint", "ls", "train", "-A", "/jobs")
    assert "away" not in left.output, left.output


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


def test_a_persons_proxies_do_not_stand_between_our_containers(stack: Stack, up: Ran, tmp_path: Path) -> None:
    nowhere = dict.fromkeys(("httpProxy", "httpsProxy"), "http://127.0.0.1:9")
    (tmp_path / "config.json").write_text(json.dumps({"proxies": {"default": nowhere}}))
    for part in ("cli-plugins", "contexts"):
        (tmp_path / part).symlink_to(Path.home() / ".docker" / part)
    port = str(free_port())
    settings = {"DOCKER_CONFIG": str(tmp_path), "SERVE_PORT": port, "MODEL": "proxied", "JOB": "proxied"}
    trained = stack.compose("up", "--force-recreate", "train", **settings)
    assert stack.record("proxied")["TrainingJobStatus"] == "Completed", trained.output
    seen = stack.compose("run", "--rm", "-T", "--entrypoint", "env", "train", **settings)
    assert "http_proxy=http://127.0.0.1:9" in seen.output, "what a job downloads still goes through them"
    evaluated = stack.compose("run", "--rm", "-T", "evaluate", **{**settings, "JOB": "", "HYPERPARAMETERS": ""})
    assert evaluated.status == 0, evaluated.output
    try:
        served = stack.compose("up", "--detach", "--wait", "serve", **settings)
        assert served.status == 0, served.output
    finally:
        stack.compose("rm", "--stop", "--force", "serve")


def test_the_way_down_that_is_printed_leaves_nothing_running(stack: Stack, up: Ran) -> None:
    settings = {"SERVE_PORT": str(free_port()), "MODEL": "first"}
    for words in (
        ["up", "--detach", "--wait", "serve"],
        ["run", "--detach", "--entrypoint", "sleep", "train", "600"],
    ):
        assert stack.compose(*words, **settings).status == 0
    said = stack.compose("logs", "--no-log-prefix", "serve", **settings).output
    down = said.partition("to take everything down: ")[2].splitlines()[0]
    assert down in up.output and down in (REPOSITORY / "docs" / "training.md").read_text()
    done = subprocess.run(down, shell=True, cwd=stack.root, env=stack.environment, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    label = f"label=com.docker.compose.project={stack.environment['COMPOSE_PROJECT_NAME']}"
    assert subprocess.check_output(["docker", "ps", "--all", "--quiet", "--filter", label], text=True) == ""
