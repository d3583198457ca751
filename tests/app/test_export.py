"""The exported files: a SavedModel by Ray 0.8.5's signature, policy.json, and policy.onnx where it can be.

That they act as the agent does is tests/app/test_agreement.py's.
"""

import json
import logging

import numpy as np
import pytest

from rl_app.policy import onnx_conversion
from rl_app.policy.export import export
from rl_app.policy.freezing import FrozenPolicy
from rl_app.policy.policy import Policy

OBSERVATIONS = 1000


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A PPO agent after two iterations, its checkpoint, and the directory that it was exported to."""
    import ray
    from ray.rllib.agents.registry import get_agent_class

    from rl_app.training import checkpoints

    directory = tmp_path_factory.mktemp("exported")
    ray.init(num_cpus=2, include_webui=False, log_to_driver=False, ignore_reinit_error=True)
    agent = get_agent_class("PPO")(
        env="CartPole-v1",
        config={
            "num_workers": 0,
            "simple_optimizer": True,
            "train_batch_size": 400,
            "observation_filter": "MeanStdFilter",
            "seed": 1,
        },
    )
    agent.train(), agent.train()
    checkpoint = checkpoints.save(agent, directory / "checkpoints")
    export(agent, directory / "model", checkpoint, {"experiment": "test"})
    yield agent, checkpoint, directory / "model"
    agent.stop()
    ray.shutdown()


@pytest.fixture(scope="module")
def observations():
    return np.random.default_rng(0).normal(scale=[1.0, 2.0, 0.1, 2.0], size=(OBSERVATIONS, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def actions(exported, observations):
    agent, *_ = exported
    return [int(agent.compute_action(observation, explore=False)) for observation in observations]


def test_both_actions_occur(actions):
    assert set(actions) == {0, 1}


def test_the_saved_model_answers_as_the_agent_the_same_each_time(exported, observations, actions):
    import tensorflow as tf

    *_, model = exported
    signature = {
        "observations": observations,
        "prev_action": np.zeros(OBSERVATIONS, np.int64),
        "prev_reward": np.zeros(OBSERVATIONS, np.float32),
        "is_training": False,
        "seq_lens": np.ones(OBSERVATIONS, np.int32),
    }
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(model / "1"))
        served = loaded.signature_def["serving_default"]
        assert set(served.inputs) == set(signature)
        feed = {served.inputs[name].name: value for name, value in signature.items()}
        for _ in range(2):
            outputs = session.run({name: tensor.name for name, tensor in served.outputs.items()}, feed)
            assert outputs["actions_0"].tolist() == actions
    assert {"action_prob", "action_logp", "action_dist_inputs", "vf_preds"} <= set(outputs)
    np.testing.assert_allclose(outputs["action_prob"], np.exp(outputs["action_logp"]), rtol=1e-6)


def test_policy_json_says_what_it_is(exported):
    *_, model = exported
    facts = json.loads((model / "policy.json").read_text(), parse_constant=pytest.fail)
    assert (facts["algorithm"], facts["env"], facts["seed"]) == ("PPO", "CartPole-v1", 1)
    assert facts["action_space"] == {"type": "Discrete", "n": 2, "start": 0}
    assert facts["observation_size"] == 4
    assert facts["versions"]["ray"] == "0.8.5"


def refused(frozen, file):
    file.write_bytes(b"half a graph")
    raise ValueError("Unsupported ops\nand a long list of them")


def of_another_policy(frozen, file):
    """As a converter's mistake would have it: a graph that can be run, and acts otherwise."""
    with_last_layer(frozen, file, bias=lambda values: np.array([100.0, -100.0], np.float32))


def of_a_surer_policy(frozen, file):
    """Whose best actions are the same, and whose drawn ones are not."""
    with_last_layer(frozen, file, bias=lambda values: 2 * values, kernel=lambda values: 2 * values)


def with_last_layer(frozen, file, **changes):
    changed = FrozenPolicy(type(frozen.graph_def).FromString(frozen.graph_def.SerializeToString()), *frozen[1:])
    for name, change in changes.items():
        node = next(node for node in changed.graph_def.node if node.name.endswith(f"fc_out/{name}"))
        tensor = node.attr["value"].tensor
        tensor.tensor_content = change(np.frombuffer(tensor.tensor_content, np.float32)).tobytes()
    GOOD(changed, file)


GOOD = onnx_conversion.write_onnx


@pytest.mark.parametrize("converter", [refused, of_another_policy, of_a_surer_policy])
def test_without_a_graph_for_onnxruntime_that_agrees_tensorflow_runs_the_policy(
    converter, exported, observations, actions, monkeypatch, caplog, tmp_path
):
    agent, checkpoint, _ = exported
    monkeypatch.setattr(onnx_conversion, "write_onnx", converter)
    with caplog.at_level(logging.WARNING, "rl_app"):
        export(agent, tmp_path / "model", checkpoint, {})
    assert not (tmp_path / "model" / "policy.onnx").exists()
    (line,) = [record.getMessage() for record in caplog.records if record.name == "rl_app.policy.onnx_conversion"]
    assert line.startswith("no policy.onnx, so TensorFlow runs the policy: ValueError: ") and "\n" not in line
    policy = Policy.load(tmp_path / "model")
    assert policy.engine == "tensorflow"
    assert policy.act(policy.flatten(observations))["actions_0"].tolist() == actions
