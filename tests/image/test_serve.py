"""`docker run IMAGE serve` over a read-only /opt/ml/model, as SageMaker's hosting runs it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any, Iterator, Tuple

import pytest

from tests.image.containers import OptMl, Ran, docker
from tests.waiting import until

NOTEBOOK = {
    "inputs": {
        "observations": [[0.01, 0.02, -0.03, 0.04]],
        "prev_action": [0, 0],
        "is_training": False,
        "prev_reward": -1,
        "seq_lens": -1,
    }
}


class Endpoint:
    """A container that serves, on a free port of 127.0.0.1."""

    def __init__(self, image: str, model: Path) -> None:
        self.name = f"test-serve-{uuid.uuid4().hex[:8]}"
        self.began = time.monotonic()
        mounted = f"{model}:/opt/ml/model:ro"
        ran = docker("run", "-d", "--name", self.name, "-p", "127.0.0.1::8080", "-v", mounted, image, "serve")
        assert ran.status == 0, ran.output
        self.url = f"http://{docker('port', self.name, '8080').output.strip()}"

    def answers(self) -> bool:
        return bool(urllib.request.urlopen(f"{self.url}/ping", timeout=2).status == 200)

    def ask(self, request: Any) -> Any:
        content = json.dumps(request).encode()
        asked = urllib.request.Request(f"{self.url}/invocations", content, {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(asked, timeout=10))

    def state(self, what: str) -> str:
        return docker("inspect", "--format", f"{{{{.State.{what}}}}}", self.name).output.strip()


@pytest.fixture
def endpoint(image: str, trained: Tuple[OptMl, Ran]) -> Iterator[Endpoint]:
    opt_ml, ran = trained
    assert ran.status == 0, ran.output
    made = Endpoint(image, opt_ml.base / "model")
    try:
        yield made
    finally:
        docker("rm", "-f", made.name)


def test_it_answers_the_notebooks_request_within_seconds_of_the_start_and_in_little_memory(endpoint: Endpoint) -> None:
    until(endpoint.answers, 30)
    assert time.monotonic() - endpoint.began < 15  # SageMaker gives minutes; the benchmark measures what it is
    outputs = endpoint.ask(NOTEBOOK)["outputs"]
    assert outputs["actions_0"][0] in (0, 1)
    assert set(outputs) >= {"action_prob", "action_logp", "action_dist_inputs", "vf_preds"}
    resident = int(docker("exec", endpoint.name, "cat", "/proc/1/task/1/children").output.split()[0])
    status = docker("exec", endpoint.name, "cat", f"/proc/{resident}/status").output
    (megabytes,) = [int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")]
    assert megabytes < 300


def test_sigterm_ends_it_with_status_0_well_within_sagemakers_30_s(endpoint: Endpoint) -> None:
    until(endpoint.answers, 30)
    began = time.monotonic()
    assert docker("stop", "--time", "30", endpoint.name).status == 0
    assert time.monotonic() - began < 6
    assert endpoint.state("ExitCode") == "0"
    assert "serving PPO on CartPole-v1" in docker("logs", endpoint.name).output


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "/opt/ml/model: neither model.tar.gz nor policy.json nor checkpoint is in it"),
        ({"policy.json": "{"}, "/opt/ml/model/policy.json: cannot be read"),
        ({"checkpoint": ""}, "/opt/ml/model/policy.json: no such file"),
    ],
    ids=["empty", "broken", "a checkpoint alone"],
)
def test_a_model_that_cannot_be_served_is_one_line_and_status_2(
    content: Any, said: str, image: str, tmp_path: Path
) -> None:
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    ran = docker("run", "--rm", "-v", f"{tmp_path}:/opt/ml/model:ro", image, "serve")
    assert (ran.status, len(ran.output.splitlines())) == (2, 1), ran.output
    assert ran.output.startswith(said)
