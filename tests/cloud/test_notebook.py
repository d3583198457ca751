"""The example notebook, run from top to bottom: the SDK, the image, MinIO from docker-compose.yml; no AWS account."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import uuid
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from scripts.lib.environments import ROOT
from tests.cloud import notebooks
from tests.cloud.conftest import free_port, run
from tests.image.conftest import image  # noqa: F401

NOTEBOOK = ROOT / "examples" / "cartpole.ipynb"
RUNNER = Path(__file__).with_name("run_notebook.py")


LARGEST_BYTES = 300_000


def cells(file: Path) -> List[Dict[str, Any]]:
    """The cells that hold code."""
    return notebooks.code_cells(json.loads(file.read_text()))


def text(cell: Dict[str, Any]) -> str:
    """What a cell printed."""
    return "".join("".join(output.get("text", "")) for output in cell["outputs"])


def test_its_outputs_were_made_from_these_cells_this_experiment_and_these_versions() -> None:
    kept = json.loads(NOTEBOOK.read_text())
    again = f"run it again: python {RUNNER.relative_to(ROOT)} {NOTEBOOK.relative_to(ROOT)} {NOTEBOOK.relative_to(ROOT)}"
    assert kept["metadata"].get("made_from") == notebooks.made_from(kept), again
    shown = cells(NOTEBOOK)
    assert [cell["execution_count"] for cell in shown] == list(range(1, len(shown) + 1)), again


def test_its_outputs_show_the_curve_a_frame_and_the_answer_and_agree() -> None:
    kept = cells(NOTEBOOK)
    pictures = [output["data"]["image/png"] for cell in kept for output in cell["outputs"] if "data" in output]
    assert len(pictures) == 2 and all(base64.b64decode(each).startswith(b"\x89PNG") for each in pictures)
    printed = "".join(map(text, kept))
    assert re.findall(r"\[0\.0, 0\.0, (-?0\.15), -?0\.5\] → (\w+)\n", printed) == [("-0.15", "left"), ("0.15", "right")]
    rewards = [float(reward) for reward in re.findall(r"iteration +\d+ +episode_reward_mean: ([0-9.]+)", printed)]
    assert rewards and rewards[-1] > 150
    (served,) = re.findall(r"serving PPO on CartPole-v1, mean reward ([0-9.]+) in training", printed)
    assert float(served) == max(rewards), "the model is of the run that is shown"


def test_it_is_small_and_names_no_machine() -> None:
    assert NOTEBOOK.stat().st_size < LARGEST_BYTES
    assert re.findall(r"/(?:home|root|tmp|work|Users)/", NOTEBOOK.read_text()) == []


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def executed(sdk_python: str, image: str, port: int, tmp_path_factory: Any) -> Iterator[List[Dict[str, Any]]]:  # noqa: F811
    """The cells after a short training."""
    target = tmp_path_factory.mktemp("notebook") / "executed.ipynb"
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "S3_", "STORE"))}
    environ.update(
        IMAGE=image,
        ITERATIONS="3",
        EPISODES="3",
        S3_PORT=str(free_port()),
        SERVE_PORT=str(port),
        COMPOSE_PROJECT_NAME=f"test-notebook-{uuid.uuid4().hex[:8]}",
        TMPDIR=str(target.parent),
    )
    if os.environ.get("S3_IMAGE"):
        environ["S3_IMAGE"] = os.environ["S3_IMAGE"]
    try:
        run([sdk_python, str(RUNNER), str(NOTEBOOK), str(target)], environ)
        yield cells(target)
    finally:  # --remove-orphans: the SDK leaves its containers
        words = ["docker", "compose", "down", "--volumes", "--remove-orphans", "--timeout", "5"]
        subprocess.run(words, cwd=ROOT, env=environ, check=True, stderr=subprocess.DEVNULL)


def test_every_cell_runs(executed: List[Dict[str, Any]]) -> None:
    assert [cell["execution_count"] for cell in executed] == list(range(1, len(executed) + 1))


def test_it_trains_shows_a_video_and_draws_the_rewards(executed: List[Dict[str, Any]]) -> None:
    printed = "".join(map(text, executed))
    assert re.search("iteration +3 +episode_reward_mean: [0-9.]+", printed)
    data = [output.get("data", {}) for cell in executed for output in cell["outputs"]]
    assert any("<video controls" in "".join(shown.get("text/html", "")) for shown in data)
    assert any("image/png" in shown for shown in data)


def test_it_shows_the_model_evaluates_it_and_asks_the_endpoint(executed: List[Dict[str, Any]]) -> None:
    printed = "".join(map(text, executed))
    for name in ("1/saved_model.pb", "policy.onnx", "checkpoint.tune_metadata"):
        assert f"{name}\n" in printed
    assert re.search(r"3 episodes: mean reward [0-9.]+, from [0-9]+ to [0-9]+\n", printed)
    assert len(re.findall(r"\[0\.0, 0\.0, -?0\.15, -?0\.5\] → (?:left|right)\n", printed)) == 2


def test_nothing_is_left_to_serve(executed: List[Dict[str, Any]], port: int) -> None:
    with socket.socket() as asked:
        assert asked.connect_ex(("127.0.0.1", port)) != 0
