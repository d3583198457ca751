"""The lean sampler and the loop of SGD against RLlib's own: the same batches, the same weights."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping

import numpy as np
import pytest
import ray
from ray.rllib.agents.callbacks import DefaultCallbacks
from ray.rllib.agents.ppo import PPOTrainer
from ray.rllib.utils import try_import_tf
from ray.tune.logger import NoopLogger
from ray.tune.registry import register_env

from rl_app.envs.contract.creation import creator
from rl_app.policy.lstm import with_lstm
from rl_app.training import trainers
from rl_app.training.fast.dense.forward import DenseForward
from rl_app.training.fast.dense.twin import DISTRIBUTIONS
from rl_app.training.fast.trainer import FastPPO, fallbacks
from tests.app.random_envs import RandomEnv

tf = try_import_tf()
SEED = 7
NARROW = 5.0
"""Of observations up to here the activations are not all at their ends, where gradients vanish."""
CONFIG = {
    "num_workers": 0,
    "log_sys_usage": False,
    "simple_optimizer": True,
    "num_envs_per_worker": 4,
    "rollout_fragment_length": 15,
    "train_batch_size": 60,
    "sgd_minibatch_size": 16,
    "num_sgd_iter": 3,
    "lr": 1e-3,
    "seed": SEED,
    "log_level": "ERROR",
    "model": {"fcnet_hiddens": [8, 8]},
}
COMPLETE = {"batch_mode": "complete_episodes"}
SETTINGS: List[Dict[str, Any]] = [
    {},
    {"horizon": 7},
    {"horizon": 7, "soft_horizon": True},
    {"horizon": 7, "soft_horizon": True, **COMPLETE},
    {"no_done_at_end": True},
    {"no_done_at_end": True, **COMPLETE},
    {"clip_rewards": True},
    {"clip_actions": False},
    {"observation_filter": "MeanStdFilter"},
    {"observation_filter": "MeanStdFilter", "horizon": 5, "soft_horizon": True},
    {"observation_filter": "ConcurrentMeanStdFilter", **COMPLETE},
    COMPLETE,
    {"use_gae": False, **COMPLETE},
    {"gamma": 0.8},
    {"lambda": 0.4},
    {"lr_schedule": [[0, 1e-2], [100, 1e-4]], "entropy_coeff": 0.1, "entropy_coeff_schedule": [[0, 0.1], [100, 0.0]]},
    {"kl_coeff": 0.5, "kl_target": 1e-4},
    {"grad_clip": 0.05},
    {"simple_optimizer": False},
    {"simple_optimizer": False, "shuffle_sequences": False},
    {"vf_share_layers": True},
    {"num_envs_per_worker": 1},
    {"sgd_minibatch_size": 60},
]


@pytest.fixture(scope="module", autouse=True)
def in_ray() -> Iterator[None]:
    """Ray, which RLlib's filters ask for."""
    ray.init(local_mode=True, include_webui=False)
    yield
    ray.shutdown()


def both(settings: Mapping[str, Any], number: int, width: float = NARROW) -> List[Any]:
    """RLlib's own trainer and ours, which draw the same actions."""
    ours = trainer(FastPPO, settings, number, width)
    forward = ours.workers.local_worker().sampler._forward
    if not isinstance(forward, DenseForward):
        return [trainer(PPOTrainer, settings, number, width), ours]
    forward._generator = np.random.default_rng(SEED)
    with pytest.MonkeyPatch.context() as patched:
        for theirs, twin in DISTRIBUTIONS.items():
            patched.setattr(theirs, "_build_sample_op", drawn_by(twin, np.random.default_rng(SEED)))
        return [trainer(PPOTrainer, settings, number, width), ours]


def drawn_by(twin: Any, generator: Any) -> Callable[[Any], Any]:
    """What draws an RLlib distribution's actions by a generator of numpy's, which is not TensorFlow's."""

    def build_sample_op(dist: Any) -> Any:
        discrete = not hasattr(dist, "mean")
        draw = lambda inputs: twin.draw(np.ascontiguousarray(inputs.T), generator)  # noqa: E731
        drawn = tf.py_func(draw, [dist.inputs], tf.int64 if discrete else tf.float32)
        drawn.set_shape([None] if discrete else dist.mean.shape)
        return drawn

    return build_sample_op


def trainer(kind: Any, settings: Mapping[str, Any], number: int, width: float = NARROW) -> Any:
    name = f"random-{number}"
    register_env(name, creator(name, SEED, {name: lambda env_config: RandomEnv(number, width)}))
    return kind(config={**CONFIG, **settings, "env": name}, logger_creator=lambda config: NoopLogger(config, "/tmp"))


@pytest.mark.parametrize(("number", "settings"), [*enumerate(SETTINGS), *((n, {}) for n in range(100, 112))])
def test_batches_and_weights_are_those_of_rllib(number: int, settings: Dict[str, Any]) -> None:
    theirs, ours = both(settings, number)
    assert not list(fallbacks(ours))

    for turn in range(3):
        same_batches(*alike(turn, theirs.workers.local_worker().sample, ours.workers.local_worker().sample))
    same_metrics(theirs, ours)
    for turn in range(3):
        results = alike(turn, theirs.train, ours.train)
        # Adam makes much of a gradient near 0: what differs in the last bit grows from batch to batch
        same_learning(theirs, ours, 1e-5 if turn == 0 else 1e-4, *(result["info"]["learner"] for result in results))
        assert results[0]["episodes_this_iter"] == results[1]["episodes_this_iter"]


@pytest.mark.parametrize("settings", [{}, {"vf_share_layers": True}, {"model": {"fcnet_activation": "elu"}}])
def test_an_episode_over_two_batches_has_the_values_that_it_was_played_by(settings: Dict[str, Any]) -> None:
    """Those of the weights before and after SGD, which moves them far here."""
    theirs, ours = both({**COMPLETE, "lr": 0.01, "num_sgd_iter": 1, "sgd_minibatch_size": 60, **settings}, 10)
    alike(0, theirs.train, ours.train)
    same_batches(*alike(1, theirs.workers.local_worker().sample, ours.workers.local_worker().sample), most=1e-4)


@pytest.mark.parametrize(("name", "number"), [("dense", 0), ("nested", 0), ("dense", 3)])
def test_a_network_of_ones_own_learns_as_by_rllib(name: str, number: int) -> None:
    """Also one that keeps what it computed in a dict, or in another network inside it."""
    from ray.rllib.models import ModelCatalog

    from tests.app.networks.models import MODELS

    ModelCatalog.register_custom_model(name, MODELS[name])
    settings = {"model": {"custom_model": name}, "vf_share_layers": True}
    theirs, ours = both(settings, number)
    assert not list(fallbacks(ours))
    for turn in range(2):
        results = alike(turn, theirs.train, ours.train)
        same_learning(theirs, ours, 1e-5 if turn == 0 else 1e-4, *(result["info"]["learner"] for result in results))
    same_values(theirs, ours)


def same_values(theirs: Any, ours: Any) -> None:
    """What the network says of an observation, asked of it once the loop is there."""
    policies = [each.get_policy() for each in (theirs, ours)]
    seen = np.zeros((1, *policies[0].observation_space.shape), np.float32)
    values = [
        each.get_session().run(each.extra_compute_action_fetches()["vf_preds"], {each._obs_input: seen})
        for each in policies
    ]
    np.testing.assert_allclose(*values, rtol=1e-3, atol=1e-4)


def alike(seed: int, *calls: Callable[[], Any]) -> List[Any]:
    """What the calls give, each with the same random numbers of Python and numpy."""
    results = []
    for call in calls:
        random.seed(seed)
        np.random.seed(seed)
        results.append(call())
    return results


def same_batches(theirs: Any, ours: Any, most: float = 1e-6) -> None:
    assert set(theirs.keys()) == set(ours.keys())
    for name, expected in theirs.items():
        found = ours[name]
        if expected.dtype == object:
            told = [[info["action"] for info in infos] for infos in (found, expected)]
            np.testing.assert_allclose(*told, rtol=1e-5, atol=1e-6, err_msg=name)
        else:
            scale = max(1.0, float(np.abs(expected).max()))
            assert expected.shape == found.shape, name
            np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=most, err_msg=name)


def same_metrics(theirs: Any, ours: Any) -> None:
    """The episodes that ended, by length and reward."""
    found = [
        [(each.episode_length, each.episode_reward) for each in one.workers.local_worker().get_metrics()]
        for one in (theirs, ours)
    ]
    np.testing.assert_allclose(*found, rtol=1e-5)


def same_learning(theirs: Any, ours: Any, most: float, *learners: Mapping[str, Any]) -> None:
    weights = [one.get_policy().get_weights() for one in (theirs, ours)]
    for name, expected in weights[0].items():
        np.testing.assert_allclose(weights[1][name], expected, rtol=0, atol=most, err_msg=name)
    told = [learner.get("default_policy", learner) for learner in learners]
    assert set(told[0]) == set(told[1])
    for name in set(told[0]) - {"model"}:
        np.testing.assert_allclose(told[1][name], told[0][name], rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.fixture
def pair() -> List[Any]:
    return both({"observation_filter": "MeanStdFilter"}, 3)


def test_a_checkpoint_goes_both_ways(pair: Any, tmp_path: Path) -> None:
    theirs, ours = pair
    ours.train()
    theirs.restore(ours.save(str(tmp_path / "ours")))
    same_policies(theirs, ours)
    theirs.train()
    ours.restore(theirs.save(str(tmp_path / "theirs")))
    same_policies(theirs, ours)
    ours.train()
    assert ours.iteration == 3 and ours.optimizer.num_steps_sampled == 3 * CONFIG["train_batch_size"]


def same_policies(theirs: Any, ours: Any) -> None:
    observation = {"a": np.ones(ours.workers.local_worker().env.observation_space["a"].shape, np.float32), "b": 1}
    found = [one.compute_action(observation, full_fetch=True, explore=False)[2] for one in (theirs, ours)]
    for name, expected in found[0].items():
        np.testing.assert_array_equal(found[1][name], expected, err_msg=name)


class Callbacks(DefaultCallbacks):  # type: ignore[misc]  # Ray has no types
    """A user's."""


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"callbacks": Callbacks}, "callbacks"),
        ({"explore": False}, "explore"),
        ({"sample_async": True}, "sample_async"),
    ],
)
def test_what_the_sampler_does_not_do_rllib_does(settings: Dict[str, Any], reason: str) -> None:
    made = trainer(FastPPO, settings, 0)

    (line,) = fallbacks(made)

    assert line.startswith("trained by RLlib's own sampler, which is slower") and reason in line
    assert made.train()["timesteps_total"] >= CONFIG["train_batch_size"]


def test_a_memory_is_rllibs_own_in_one_line() -> None:
    """As the job has it: the settings of ``model.use_lstm`` made to work."""
    made = trainer(FastPPO, with_lstm({"model": {"use_lstm": True, "lstm_cell_size": 4, "max_seq_len": 5}}), 0)

    assert list(fallbacks(made)) == [
        "trained by RLlib's own sampler and optimizer, which is slower: the network has a memory"
    ]
    assert made.train()["timesteps_total"] >= CONFIG["train_batch_size"]


@pytest.mark.parametrize(("fast", "lines"), [(None, 0), (False, 0), (True, 1)])
def test_another_algorithm_says_that_it_is_rllibs_own_only_where_more_was_asked_for(fast: Any, lines: int) -> None:
    assert len(trainers.fallbacks(None, "DQN", {}, fast)) == lines


@pytest.mark.parametrize("number", range(5))
def test_many_at_once_as_one_after_the_other(number: int) -> None:
    """RLlib's own sampler over the same environments, with the filters of each."""
    settings = {"num_envs_per_worker": 7, "observation_filter": "MeanStdFilter", "horizon": 4}
    theirs, ours = both(settings, number)
    for turn in range(2):
        same_batches(*alike(turn, theirs.workers.local_worker().sample, ours.workers.local_worker().sample))
    one, other = (each.workers.local_worker().filters["default_policy"] for each in (theirs, ours))
    for name in ("rs", "buffer"):
        expected, found = getattr(one, name), getattr(other, name)
        assert expected.n == found.n
        np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found.std, expected.std, rtol=1e-9, atol=1e-12)
