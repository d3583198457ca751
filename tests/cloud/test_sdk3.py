"""Version 3 of the real SageMaker Python SDK: its example on this machine, and what it asks SageMaker for."""

from __future__ import annotations

import os
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest

from scripts.lib.environments import ROOT
from tests.cloud.conftest import KEYS, docker, free_port, run
from tests.cloud.stub import arn
from tests.cloud.test_sdk import OF_2020, remove_containers, settings_of_the_sdk
from tests.image.conftest import image  # noqa: F401

ARCHIVES = ("model.tar.gz", "output.tar.gz")
EXAMPLE = str(ROOT / "examples" / "cartpole_sdk3.py")


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, str]:
    ours = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    return {**ours, **KEYS, **settings_of_the_sdk(tmp_path_factory.mktemp("sdk3"))}


def test_the_example_trains_serves_and_leaves_nothing_running(
    sdk3_python: str,
    image: str,  # noqa: F811
    environ: Dict[str, str],
    tmp_path: Path,
) -> None:
    words = ["--iterations", "2", "--folder", str(tmp_path), "--port", str(free_port())]
    try:
        printed = run([sdk3_python, EXAMPLE, image, *words], environ)
    finally:
        remove_containers(image)
    for name in ("1/saved_model.pb", "policy.onnx", "policy.json", "checkpoint", "params.json"):
        assert f"{name}\n" in printed, printed
    assert re.findall("iteration +2 +episode_reward_mean: [0-9.]+", printed)
    assert len(re.findall(r"\[0\.0, 0\.0, -?0\.15, -?0\.5\] → (?:left|right)\n", printed)) == 2
    assert docker("ps", "--quiet", "--filter", f"ancestor={image}") == ""


OWN = """
import sys
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, SourceCode
from sagemaker.train.model_trainer import Mode
image, folder, source, count = sys.argv[1:]
own = {
    "corridor": {"hyperparameters": {"experiment": "corridor", "rl.training.stop.training_iteration": 1}},
    "program": {
        "hyperparameters": {"tries": 2},
        "source_code": SourceCode(source_dir=source, entry_script="random_search.py"),
    },
    "old_job": {  # no source_code: what the SDK would run the program by takes no name with a dot
        "hyperparameters": {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": "/opt/ml/input/data/code",
            "rl.training.stop.training_iteration": 1,
        },
    },
}
name = source.rpartition("/")[2]
ModelTrainer(
    training_mode=Mode.LOCAL_CONTAINER,
    training_image=image,
    compute=Compute(instance_type="local_cpu", instance_count=int(count)),
    base_job_name="own",
    local_container_root=folder,
    **own[name],
).train(None if "source_code" in own[name] else [InputData(channel_name="code", data_source=source)])
"""


@pytest.mark.parametrize(("source", "left"), [("corridor", "policy.onnx"), ("program", "weights.json")])
def test_code_of_ones_own_runs(
    source: str,
    left: str,
    sdk3_python: str,
    image: str,  # noqa: F811
    environ: Dict[str, str],
    tmp_path: Path,
) -> None:
    try:
        printed = run([sdk3_python, "-c", OWN, image, str(tmp_path), str(ROOT / "examples" / source), "1"], environ)
    finally:
        remove_containers(image)
    names = run(["tar", "-tzf", str(tmp_path / "compressed_artifacts" / "model.tar.gz")])
    assert left in names, printed


def test_two_instances_train_one_trial(
    sdk3_python: str,
    image: str,  # noqa: F811
    environ: Dict[str, str],
    tmp_path: Path,
) -> None:
    try:
        printed = run([sdk3_python, "-c", OWN, image, str(tmp_path), str(ROOT / "examples" / "corridor"), "2"], environ)
    finally:
        remove_containers(image)
    assert "CPUs of 2 hosts)" in printed and re.search(r"algo-2: \d+ CPUs and 0 GPUs for algo-1", printed), printed
    packed = {name: run(["tar", "-tzf", str(tmp_path / "compressed_artifacts" / name)]) for name in ARCHIVES}
    assert "policy.onnx" in packed["model.tar.gz"] and "data/algo-2/train.log" in packed["output.tar.gz"], packed


def test_a_program_of_2020_makes_its_own_cluster_of_two_instances(
    sdk3_python: str,
    image: str,  # noqa: F811
    environ: Dict[str, str],
    tmp_path: Path,
) -> None:
    try:
        printed = run([sdk3_python, "-c", OWN, image, str(tmp_path), str(OF_2020), "2"], environ)
    finally:
        remove_containers(image)
    assert "nodes: 2" in printed and "joined as " in printed, printed
    names = run(["tar", "-tzf", str(tmp_path / "compressed_artifacts" / "model.tar.gz")])
    assert {"1/saved_model.pb", "checkpoint", "params.json"} <= set(names.split()), printed


ASK = """
import sys
import boto3
from sagemaker.core.helper.session_helper import Session
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute
image, role, bucket = sys.argv[1:]
ModelTrainer(
    sagemaker_session=Session(boto3.Session(), default_bucket=bucket),
    role=role,
    training_image=image,
    compute=Compute(instance_type="ml.c5.xlarge", instance_count=1),
    base_job_name="cartpole",
    hyperparameters={"experiment": "cartpole", "rl.training.config.lr": 0.001, "seed": 1},
).train(wait=False)
"""


DENIED = b"""<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">
<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized</Message></Error></ErrorResponse>"""


class Denying(BaseHTTPRequestHandler):
    """An IAM in which one may do nothing: the SDK would simulate the role's policy, and goes on where it may not."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(403)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(DENIED)))
        self.end_headers()
        self.wfile.write(DENIED)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def denying_iam() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Denying) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_what_it_asks_sagemaker_for_is_a_job_of_ours(
    sdk3_python: str, cloud: Any, moto: str, denying_iam: str, tmp_path: Path
) -> None:
    _, stub, _ = cloud([{}])
    stub.answers["CreateTrainingJob"] = lambda _: {"TrainingJobArn": arn("training-job")}
    role = "arn:aws:iam::123456789012:role/rl"
    others = {"AWS_ENDPOINT_URL_STS": moto, "AWS_ENDPOINT_URL_IAM": denying_iam}
    run(
        [sdk3_python, "-c", ASK, "registry/image@sha256:1", role, "bucket"],
        {**os.environ, **others, **settings_of_the_sdk(tmp_path)},
    )
    (asked,) = stub.calls("CreateTrainingJob")
    assert asked["AlgorithmSpecification"]["TrainingImage"] == "registry/image@sha256:1"
    assert "ContainerEntrypoint" not in asked["AlgorithmSpecification"], "SageMaker starts the image with train"
    assert asked["HyperParameters"] == {"experiment": "cartpole", "rl.training.config.lr": "0.001", "seed": "1"}
