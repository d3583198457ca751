"""`docker run IMAGE evaluate` over a mounted /opt/ml, with a model in a channel as SageMaker mounts it."""

import json

import pytest

from tests.image.containers import CALLER, docker, pack


@pytest.fixture
def with_model(trained, opt_ml):
    """`/opt/ml` of an evaluation: read-only channels, each with what a training job uploaded."""
    before, _ = trained

    def configure(*channels, **hyperparameters):
        for channel in channels:
            directory = opt_ml.base / "input" / "data" / channel
            directory.mkdir(parents=True)
            pack(before.base / "model", directory / "model.tar.gz")
        opt_ml.configure(**hyperparameters)
        file = opt_ml.base / "input" / "config" / "inputdataconfig.json"
        file.write_text(json.dumps({channel: {"TrainingInputMode": "File"} for channel in channels}))
        return opt_ml

    return configure


def evaluate(image, opt_ml, command="evaluate"):
    channels = ["-v", f"{opt_ml.base}/input:/opt/ml/input:ro"]
    return docker("run", *opt_ml.run_options(*channels), image, command)


def found(opt_ml):
    return json.loads((opt_ml.base / "output" / "data" / "evaluation.json").read_text())


def test_it_evaluates_and_leaves_everything_to_the_owner(image, with_model):
    opt_ml = with_model("model", evaluate_episodes="4", seed="2")
    ran = evaluate(image, opt_ml)
    assert ran.status == 0, ran.output
    assert ran.output.count("Episode reward: ") == 4 and "Mean Reward: " in ran.output
    assert len(found(opt_ml)["models"][0]["episodes"]) == 4
    assert (opt_ml.base / "output" / "data" / "report.html").exists()
    assert len(list((opt_ml.base / "output" / "data" / "videos").iterdir())) == 2
    owners = opt_ml.owners()
    assert owners and set(owners.values()) == {CALLER}, owners
    assert opt_ml.failure is None


def test_a_training_job_whose_command_is_evaluate_does_the_same(image, with_model):
    opt_ml = with_model("model", command="evaluate", evaluate_episodes="2", algorithm="PPO", env="CartPole-v1")
    ran = evaluate(image, opt_ml, "train")
    assert ran.status == 0, ran.output
    assert len(found(opt_ml)["models"][0]["episodes"]) == 2


def test_each_channel_is_a_model_to_compare_and_the_agent_can_be_restored(image, with_model):
    opt_ml = with_model("one", "two", evaluate_episodes="2", restore="true", videos="0")
    ran = evaluate(image, opt_ml)
    assert ran.status == 0, ran.output
    one, two = found(opt_ml)["models"]
    assert one["episodes"] == two["episodes"] and one["played_by"] == "ray"
    assert found(opt_ml)["differences"][0]["mean"] == 0
    assert "a pickle" in ran.output and "WARNING" not in ran.output


def test_a_damaged_model_is_one_line_and_status_2(image, with_model):
    opt_ml = with_model("model")
    archive = opt_ml.base / "input" / "data" / "model" / "model.tar.gz"
    archive.write_bytes(archive.read_bytes()[:5000])
    ran = evaluate(image, opt_ml)
    assert ran.status == 2 and len(ran.output.strip().splitlines()) == 1, ran.output
    assert "model.tar.gz: corrupt, or no tar archive" in ran.output
    assert opt_ml.failure == ran.output.strip()
