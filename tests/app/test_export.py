"""The exported policy answers as the live agent does, on a thousand observations, in both formats."""

import json

import numpy as np
import pytest

OBSERVATIONS = 1000


@pytest.fixture(scope="module", params=["NoFilter", "MeanStdFilter"])
def exported(request, tmp_path_factory):
    """A PPO agent after two iterations, and the directory that it was exported to."""
    import ray
    from ray.rllib.agents.registry import get_agent_class

    from rl_app import checkpoints
    from rl_app.export import export

    directory = tmp_path_factory.mktemp(request.param)
    ray.init(num_cpus=2, include_webui=False, log_to_driver=False, ignore_reinit_error=True)
    agent = get_agent_class("PPO")(
        env="CartPole-v1",
        config={
            "num_workers": 0,
            "simple_optimizer": True,
            "train_batch_size": 400,
            "observation_filter": request.param,
            "seed": 1,
        },
    )
    agent.train(), agent.train()
    export(agent, directory / "model", checkpoints.save(agent, directory / "checkpoints"), {"experiment": "test"})
    yield agent, directory / "model"
    agent.stop()
    ray.shutdown()


@pytest.fixture(scope="module")
def observations():
    return np.random.default_rng(0).normal(scale=[1.0, 2.0, 0.1, 2.0], size=(OBSERVATIONS, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def actions(exported, observations):
    agent, _ = exported
    return [int(agent.compute_action(observation, explore=False)) for observation in observations]


def test_both_actions_occur(actions):
    assert set(actions) == {0, 1}


def test_onnx_answers_as_the_agent(exported, observations, actions):
    import onnxruntime

    _, model = exported
    observation_filter = json.loads((model / "policy.json").read_text())["observation_filter"]
    if observation_filter:
        wide = observations.astype(np.float64) - observation_filter["mean"]
        observations = (wide / (np.array(observation_filter["std"]) + 1e-8)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(model / "policy.onnx"), providers=["CPUExecutionProvider"])
    (answered,) = session.run(["actions_0"], {"observations": observations})
    assert answered.tolist() == actions


def test_the_saved_model_answers_as_the_agent_the_same_each_time(exported, observations, actions):
    import tensorflow as tf

    _, model = exported
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
    _, model = exported
    facts = json.loads((model / "policy.json").read_text(), parse_constant=pytest.fail)
    assert (facts["algorithm"], facts["env"], facts["seed"]) == ("PPO", "CartPole-v1", 1)
    assert facts["action_space"] == {"type": "Discrete", "n": 2, "start": 0}
    assert facts["observation_size"] == 4
    assert facts["versions"]["ray"] == "0.8.5"
