"""RLlib's ``export_policy_model``: its own SavedModel served by its signature, and what the image writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Iterator

import numpy as np
import pytest

from rl_app.errors import UserError
from rl_app.policy.lstm import with_lstm
from rl_app.policy.policy import Policy
from rl_app.policy.rllib_export import export_policy_model

ENVS = {"discrete": "CartPole-v1", "continuous": "Pendulum-v1"}
CONFIG = {
    "num_workers": 0,
    "log_sys_usage": False,
    "simple_optimizer": True,
    "train_batch_size": 200,
    "rollout_fragment_length": 50,
    "seed": 1,
}


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    import ray

    ray.init(num_cpus=2, include_webui=False, log_to_driver=False, ignore_reinit_error=True)
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module")
def agents(ray: Any) -> Iterator[Dict[str, Any]]:
    """PPO after an iteration, by kind of action."""
    from ray.rllib.agents.ppo import PPOTrainer

    made = {kind: PPOTrainer(env=env, config=CONFIG) for kind, env in ENVS.items()}
    for agent in made.values():
        agent.train()
    yield made
    for agent in made.values():
        agent.stop()


def agrees(policy: Policy, agent: Any) -> None:
    """The policy's actions are the agent's best ones."""
    observations = np.random.default_rng(0).normal(size=(50, policy.observation_size)).astype(np.float32)
    expected = [agent.compute_action(each, explore=False) for each in observations]
    found = policy.act(policy.flatten(observations))["actions_0"]
    assert np.allclose(np.clip(found, *bounds(agent)), expected, rtol=1e-4, atol=1e-4)


def bounds(agent: Any) -> Any:
    space = agent.get_policy().action_space
    return (space.low, space.high) if hasattr(space, "low") else (0, space.n)


@pytest.mark.parametrize("kind", ENVS)
def test_rllibs_own_is_served_by_its_signature_with_the_best_action(
    kind: str, agents: Dict[str, Any], tmp_path: Path
) -> None:
    agents[kind].get_policy().export_model(str(tmp_path / "1"))
    (tmp_path / "params.json").write_text(json.dumps({"env": ENVS[kind]}))
    policy = Policy.load(tmp_path)
    assert (policy.engine, policy.facts["env"]) == ("tensorflow", ENVS[kind])
    assert "prev_action" not in policy.inputs, "the action does not depend on it"
    agrees(policy, agents[kind])
    sampled = policy.act(policy.flatten(np.zeros((20, policy.observation_size))), deterministic=False)
    assert len(np.unique(sampled["actions_0"])) > 1


def test_what_a_signature_does_not_tell_is_refused(ray: Any, agents: Dict[str, Any], tmp_path: Path) -> None:
    from ray.rllib.agents.ppo import PPOTrainer

    agent = PPOTrainer(env="CartPole-v1", config=with_lstm({**CONFIG, "model": {"use_lstm": True}}))
    agent.get_policy().export_model(str(tmp_path / "memory" / "1"))
    agent.stop()
    agents["discrete"].get_policy().export_model(str(tmp_path / "filtered" / "1"))
    (tmp_path / "filtered" / "params.json").write_text('{"observation_filter": "MeanStdFilter"}')
    for model, why in (("memory", "it has a memory, "), ("filtered", "its MeanStdFilter of observations is not in it")):
        with pytest.raises(UserError, match=f"cannot be served by its signature: {why}"):
            Policy.load(tmp_path / model)


def test_what_is_no_saved_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"not one")
    with pytest.raises(UserError, match="no SavedModel with the signature serving_default"):
        Policy.load(tmp_path)


@pytest.mark.parametrize("kind", ENVS)
def test_a_jobs_has_beside_it_what_serve_and_evaluate_need(
    kind: str, agents: Dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SM_MODEL_DIR", str(tmp_path))
    export_policy_model(agents[kind], str(tmp_path / "1"), "default_policy")
    assert {path.name for path in tmp_path.iterdir()} == {"1", "policy.json", "policy.onnx"}
    policy = Policy.load(tmp_path)
    assert (policy.engine, policy.facts["training"]["training_iteration"]) == ("onnxruntime", 1)
    agrees(policy, agents[kind])


def test_elsewhere_it_is_the_saved_model_alone(
    agents: Dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SM_MODEL_DIR", str(tmp_path / "another"))
    export_policy_model(agents["discrete"], str(tmp_path / "1"), "default_policy")
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_a_policy_without_a_distribution_is_as_rllib_exports_it(
    ray: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from ray.rllib.agents.pg.pg import PGTrainer
    from ray.rllib.models import ModelCatalog
    from ray.rllib.policy.tf_policy_template import build_tf_policy
    from ray.rllib.utils import try_import_tf

    tf = try_import_tf()

    def model(policy: Any, observations: Any, actions: Any, config: Any) -> Any:
        return ModelCatalog.get_model_v2(observations, actions, 2, config["model"], framework="tf")

    def sample(policy: Any, model: Any, obs_batch: Any, **_: Any) -> Any:
        policy._state_out = []
        logits, _ = model({"obs": obs_batch, "obs_flat": obs_batch, "is_training": False}, [], None)
        return tf.argmax(logits, axis=1), tf.reduce_max(logits, axis=1)

    own = build_tf_policy(
        "Own",
        loss_fn=lambda policy, model, kind, batch: tf.reduce_mean(model.from_batch(batch)[0]),
        make_model=model,
        action_sampler_fn=sample,
    )
    agent = PGTrainer.with_updates(default_policy=own, get_policy_class=lambda _: own)(
        env="CartPole-v1", config={"num_workers": 0}
    )
    export_policy_model(agent, str(tmp_path / "1"), "default_policy")
    agent.stop()
    assert (tmp_path / "1" / "saved_model.pb").exists()
    assert "is as RLlib itself exports it" in caplog.text
