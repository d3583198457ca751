"""A job that was written for AWS's container of 2020, unchanged: trained on one host and on two, evaluated, served."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from tests.image.containers import OptMl, Ran, docker, pack
from tests.image.test_serve import NOTEBOOK, Endpoint
from tests.waiting import until

OLD_JOB = Path(__file__).parent / "old_job"
ESTIMATORS: Dict[str, str] = {  # as SageMaker's RLEstimator sends them
    "sagemaker_program": '"train.py"',
    "sagemaker_submit_directory": '"/user/sourcedir.tar.gz"',
    "sagemaker_region": '"us-east-1"',
    "sagemaker_estimator": '"RLEstimator"',
    "rl.training.stop.training_iteration": "1",
    "rl.training.config.kl_coeff": "0.5",
}


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(OLD_JOB, tmp_path_factory.mktemp("code") / "sourcedir.tar.gz")


@pytest.fixture(scope="session")
def old(image: str, archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Tuple[OptMl, Ran]:
    """What the old job left on one host, whose machine has a name of its own."""
    opt_ml = OptMl(tmp_path_factory.mktemp("old") / "ml").configure(**ESTIMATORS)
    ran = opt_ml.train(image, "-v", f"{archive.parent}:/user:ro", "--hostname", "another", deadline_s=300)
    assert ran.status == 0, ran.output
    return opt_ml, ran


@pytest.fixture
def as_aws_left_it(old: Tuple[OptMl, Ran], tmp_path: Path) -> Path:
    """A model as the same job leaves it in AWS's own container."""
    model = tmp_path / "model"
    shutil.copytree(old[0].base / "model", model, ignore=shutil.ignore_patterns("policy.*"))
    return model


def files_of(model: Path) -> set[str]:
    return {str(file.relative_to(model)) for file in model.rglob("*") if file.is_file()}


def test_it_trains_with_its_packages_programs_and_dtypes(old: Tuple[OptMl, Ran]) -> None:
    opt_ml, ran = old
    assert all(f"{program} True" in ran.output for program in ("ffmpeg", "jq", "rsync")), ran.output
    assert "Log sync requires rsync" not in ran.output
    assert list((opt_ml.base / "output" / "intermediate").rglob("openaigym.video.*.mp4"))


def test_what_its_launcher_makes_of_a_number_is_said_and_left(old: Tuple[OptMl, Ran]) -> None:
    opt_ml, ran = old
    assert "WARNING: rl.training.config.kl_coeff = 0.5 becomes 0: sagemaker_rl/configuration_list.py" in ran.output
    assert json.loads((opt_ml.base / "model" / "params.json").read_text())["kl_coeff"] == 0


def test_its_model_is_aws_with_what_evaluate_and_serve_need_beside(old: Tuple[OptMl, Ran]) -> None:
    opt_ml, _ = old
    theirs = {"1/saved_model.pb", "checkpoint", "checkpoint.tune_metadata", "params.json"}
    assert files_of(opt_ml.base / "model") >= {*theirs, "policy.json", "policy.onnx"}
    facts = json.loads((opt_ml.base / "model" / "policy.json").read_text())
    assert (facts["algorithm"], facts["env"], facts["training"]["training_iteration"]) == ("PPO", "CartPole-v1", 1)


OF_TENSORFLOW_2_1 = """
from tensorflow.core.protobuf import saved_model_pb2
saved = saved_model_pb2.SavedModel()
saved.ParseFromString(open("/opt/ml/model/1/saved_model.pb", "rb").read())
(graph,) = saved.meta_graphs
nodes = [*graph.graph_def.node, *(node for each in graph.graph_def.library.function for node in each.node_def)]
print("newer:", sorted({node.op for node in nodes if {"validate_shape", "grad_a", "grad_b"} & set(node.attr)}))
print(*sorted(graph.signature_def["serving_default"].inputs))
"""


def test_its_saved_model_has_nothing_that_tensorflow_2_1_does_not_know(old: Tuple[OptMl, Ran], image: str) -> None:
    model = f"{old[0].base / 'model'}:/opt/ml/model:ro"
    said = docker("run", "--rm", "-v", model, image, "python", "-c", OF_TENSORFLOW_2_1).output.splitlines()
    assert said[-2:] == ["newer: []", "is_training observations prev_action prev_reward seq_lens"]


@pytest.fixture
def endpoints(image: str) -> Iterator[Any]:
    made: List[Endpoint] = []

    def serve(model: Path) -> Endpoint:
        made.append(Endpoint(image, model))
        until(lambda: answering(made[-1]), 60)
        return made[-1]

    yield serve
    for each in made:
        docker("rm", "-f", each.name)


def answering(endpoint: Endpoint) -> bool:
    try:
        return endpoint.answers()
    except OSError:
        return False


def test_it_is_served_with_and_without_what_this_image_adds(
    old: Tuple[OptMl, Ran], as_aws_left_it: Path, endpoints: Any
) -> None:
    whole, bare = endpoints(old[0].base / "model"), endpoints(as_aws_left_it)
    for request in (NOTEBOOK, {"observations": [[0.01, 0.02, -0.03, 0.04], [-0.04, -1.0, 0.03, 0.5]]}):
        actions = [endpoint.ask(request)["outputs"]["actions_0"] for endpoint in (whole, bare)]
        assert actions[0] == actions[1], actions
    assert "no policy.json: served by the signature" in docker("logs", bare.name).output


@pytest.mark.parametrize("left", ["whole", "bare"])
def test_it_is_evaluated_with_and_without_what_this_image_adds(
    left: str, image: str, old: Tuple[OptMl, Ran], as_aws_left_it: Path, opt_ml: OptMl
) -> None:
    given = {"algorithm": "PPO"} if left == "bare" else {}
    opt_ml.configure(evaluate_episodes="2", **given)
    (opt_ml.base / "input" / "config" / "inputdataconfig.json").write_text('{"model": {}}')
    model = as_aws_left_it if left == "bare" else old[0].base / "model"
    ran = docker("run", *opt_ml.run_options("-v", f"{model}:/opt/ml/input/data/model:ro"), image, "evaluate")
    assert ran.status == 0, ran.output
    assert ran.output.count("Episode reward: ") == 2


@pytest.fixture
def network() -> Iterator[str]:
    name = f"test-hosts-{uuid.uuid4().hex[:8]}"
    assert docker("network", "create", name).status == 0
    yield name
    docker("network", "rm", name)


def test_on_two_hosts_it_makes_its_own_cluster(image: str, archive: Path, network: str, tmp_path: Path) -> None:
    hosts = ["algo-1", "algo-2"]
    names = {host: f"{network}-{host}" for host in hosts}
    try:
        for host in hosts:
            opt_ml = OptMl(tmp_path / host).configure(**ESTIMATORS)
            told = {"current_host": host, "hosts": hosts, "network_interface_name": "eth0"}
            (opt_ml.base / "input" / "config" / "resourceconfig.json").write_text(json.dumps(told))
            given = ["-v", f"{opt_ml.base}:/opt/ml", "-v", f"{archive.parent}:/user:ro"]
            joined = ["--network", network, "--network-alias", host, "--name", names[host]]
            ran = docker("run", "-d", *joined, *given, image, "train")
            assert ran.status == 0, ran.output
        ended = {host: docker("wait", names[host], deadline_s=300).output.strip() for host in hosts}
        said = {host: docker("logs", names[host]).output for host in hosts}
        assert ended == {"algo-1": "0", "algo-2": "0"}, said
        assert "nodes: 2" in said["algo-1"] and "joined as algo-2" in said["algo-2"]
        assert (tmp_path / "algo-1" / "model" / "policy.json").exists()
    finally:
        docker("rm", "-f", *names.values())
