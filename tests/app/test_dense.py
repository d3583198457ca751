"""The numpy twin of RLlib's network: TensorFlow's gradients, the same actions as often, and what Adam has gathered."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import gym
import numpy as np
import pytest
import ray
from ray.tune.logger import NoopLogger
from ray.tune.registry import register_env
from threadpoolctl import threadpool_info

from rl_app.errors import JobError
from rl_app.training import checkpoints
from rl_app.training.fast.dense import distributions
from rl_app.training.fast.dense.forward import DenseForward
from rl_app.training.fast.dense.learner import Columns, DenseLearner, can_learn
from rl_app.training.fast.dense.loss import Loss
from rl_app.training.fast.dense.twin import layers_of
from rl_app.training.fast.trainer import FastPPO
from tests.app.test_fast import CONFIG, both, trainer

DISCRETE, CONTINUOUS, SEVERAL = 0, 1, 2
LARGE = {"model": {"fcnet_hiddens": [256, 256]}}
SETTINGS: List[Dict[str, Any]] = [
    {},
    {"kl_coeff": 3.0, "entropy_coeff": 0.2, "vf_loss_coeff": 0.3},
    {"vf_share_layers": True},
    {"vf_clip_param": 0.01, "clip_param": 0.01},
    {"use_gae": False, "batch_mode": "complete_episodes"},
    {"model": {"fcnet_hiddens": [7], "fcnet_activation": "relu"}},
    {"model": {"fcnet_hiddens": [7, 3, 5], "fcnet_activation": "linear"}},
    {"model": {"fcnet_hiddens": []}},
    {"model": {"fcnet_hiddens": [7, 5], "no_final_linear": True}, "vf_share_layers": True},
]


@pytest.fixture(scope="module", autouse=True)
def in_ray() -> Iterator[None]:
    """Ray, which RLlib's filters ask for."""
    ray.init(local_mode=True, include_webui=False)
    yield
    ray.shutdown()


@pytest.mark.parametrize("width", [5.0, 50.0])
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("number", [DISCRETE, CONTINUOUS])
def test_gradients_are_tensorflows(number: int, settings: Dict[str, Any], width: float) -> None:
    """Of a batch that another policy has played: ratios and values are then beyond what the loss clips to."""
    theirs, ours = both(settings, number, width)
    batch = theirs.workers.local_worker().sample()
    drawn = np.random.default_rng(1)
    for worker in (theirs.workers.local_worker(), ours.workers.local_worker()):
        weights = worker.get_policy().get_weights()
        drawn = np.random.default_rng(1)
        moved = [each + 1.5 / width * drawn.normal(size=each.shape) for each in weights.values()]
        worker.get_policy().set_weights(dict(zip(theirs.get_policy().get_weights(), moved)))
    policy, learner = theirs.get_policy(), ours.optimizer._loop
    gradients, _ = policy.compute_gradients(batch)
    expected = {variable.name: gradient for (_, variable), gradient in zip(policy._grads_and_vars, gradients)}

    found = gradients_of(learner, batch)

    for variable in layers_of(ours.get_policy()).variables:
        part, found = np.split(found, [variable.shape.num_elements()])
        gradient = expected.get(variable.name, np.zeros_like(part))
        most = max(1e-6, float(np.abs(gradient).max()))
        np.testing.assert_allclose(part / most, gradient.ravel() / most, rtol=0, atol=1e-5, err_msg=variable.name)


@pytest.mark.parametrize(("number", "kind"), [(DISCRETE, np.float64), (DISCRETE, np.int8), (CONTINUOUS, np.float64)])
def test_actions_are_learned_from_in_whatever_type_a_callback_leaves_them(number: int, kind: Any) -> None:
    """TensorFlow takes them in its own."""
    made = trainer(FastPPO, {"rollout_fragment_length": 30}, number)
    batch = made.workers.local_worker().sample()
    expected = gradients_of(made.optimizer._loop, batch).copy()
    batch["actions"] = batch["actions"].astype(kind)
    np.testing.assert_array_equal(gradients_of(made.optimizer._loop, batch), expected)


def gradients_of(learner: DenseLearner, batch: Any) -> Any:
    """Return those of the whole batch, before they are clipped."""
    learner._variables.take()
    _, kl, entropy = learner._coefficients()
    columns, network = Columns.of(batch), learner._network
    dist_inputs, values = network.forward(columns.observations)
    then, settings = columns.minibatch(), learner._settings(kl, entropy)
    loss = Loss(then, learner._dist_class, np.ascontiguousarray(dist_inputs.T), values, settings)
    of_inputs, of_values = loss.gradients()
    network.backward(of_inputs.T, of_values)
    return network.gradients


@pytest.mark.parametrize(
    ("settings", "number"),
    [
        ({}, SEVERAL),
        ({"model": {"fcnet_activation": "swish"}}, DISCRETE),
        ({"model": {"fcnet_hiddens": [300, 300]}}, DISCRETE),
    ],
)
def test_what_has_no_twin_learns_by_tensorflow(settings: Dict[str, Any], number: int) -> None:
    made = trainer(FastPPO, settings, number)
    assert not can_learn(made.get_policy())
    assert made.train()["timesteps_total"] >= CONFIG["train_batch_size"]


def test_a_network_for_which_tensorflow_learns_faster_may_still_act_by_numpy() -> None:
    made = trainer(FastPPO, {**LARGE, "num_envs_per_worker": 1}, DISCRETE)
    assert isinstance(made.workers.local_worker().sampler._forward, DenseForward)
    assert not isinstance(made.optimizer._loop, DenseLearner)


def test_a_large_network_acts_by_tensorflow_in_many_environments_at_once() -> None:
    made = trainer(FastPPO, {**LARGE, "num_envs_per_worker": 32}, DISCRETE)
    assert not isinstance(made.workers.local_worker().sampler._forward, DenseForward)


def test_actions_are_drawn_as_often_as_they_are_likely() -> None:
    logits = np.array([[2.0, 0.0, -1.0], [700.0, 702.0, 0.0], [-800.0, 0.0, 0.0]], np.float32)
    count = 20_000
    inputs = np.repeat(logits.T, count, axis=1)

    drawn = distributions.Categorical.draw(inputs, np.random.default_rng(0)).reshape(3, count)

    shifted = logits - logits.max(1, keepdims=True)
    expected = np.exp(shifted) / np.exp(shifted).sum(1, keepdims=True)
    found = np.stack([np.bincount(row, minlength=3) / count for row in drawn])
    np.testing.assert_allclose(found, expected, atol=4 * 0.5 / np.sqrt(count))


def test_numbers_are_drawn_by_their_mean_and_deviation() -> None:
    inputs = np.repeat(np.array([[3.0], [-1.0], [np.log(2.0)], [np.log(0.1)]], np.float32), 20_000, axis=1)

    drawn = distributions.DiagGaussian.draw(inputs, np.random.default_rng(0))

    assert drawn.dtype == np.float32
    np.testing.assert_allclose(drawn.mean(0), [3.0, -1.0], atol=0.05)
    np.testing.assert_allclose(drawn.std(0), [2.0, 0.1], rtol=0.03)


def test_numpy_multiplies_on_one_thread() -> None:
    trainer(FastPPO, {}, DISCRETE)
    assert {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"} == {1}


class Reseeding(gym.Env):  # type: ignore[misc]  # gym has no types
    """Seeds numpy's global generator at each reset, as many environments do."""

    observation_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = gym.spaces.Discrete(4)

    def reset(self) -> Any:
        np.random.seed(0)
        self._steps = 0
        return np.zeros(2, np.float32)

    def step(self, action: Any) -> Any:
        self._steps += 1
        return np.zeros(2, np.float32), 0.0, self._steps == 15, {}


def test_episodes_differ_where_each_seeds_numpy() -> None:
    register_env("reseeding", lambda _: Reseeding())
    settings = {**CONFIG, "num_envs_per_worker": 1, "env": "reseeding"}
    made = FastPPO(config=settings, logger_creator=lambda config: NoopLogger(config, "/tmp"))
    batch = made.workers.local_worker().sample()
    episodes = batch["actions"].reshape(-1, 15)
    others = made.workers.local_worker().sample()["actions"].reshape(-1, 15)
    assert not (episodes == others).all()


@pytest.mark.parametrize("seed", [None, 7])
def test_workers_differ_where_each_environment_seeds_numpy_alike(seed: Optional[int]) -> None:
    policy, seen = trainer(FastPPO, {"seed": seed}, DISCRETE).get_policy(), np.zeros((50, 1), np.float32)

    def drawn(worker_index: int) -> Any:
        policy.config["worker_index"] = worker_index
        np.random.seed(0)
        forward = DenseForward(policy)
        return forward.act(np.repeat(seen, policy.observation_space.shape[0], 1), None, None)["actions"]

    assert not (drawn(1) == drawn(2)).all()
    assert (drawn(1) == drawn(1)).all() == (seed is not None)


@pytest.mark.parametrize("settings", [{}, {**LARGE, "num_envs_per_worker": 1}])
def test_an_agent_that_has_diverged_plays_no_further(settings: Dict[str, Any]) -> None:
    """TensorFlow draws an action then that there is not, and fails; numpy would draw the first one for ever."""
    made = trainer(FastPPO, settings, DISCRETE)
    made.train()
    policy = made.get_policy()
    policy.set_weights({name: np.full_like(each, np.nan) for name, each in policy.get_weights().items()})
    with pytest.raises(JobError, match="no longer finite numbers: its training diverged"):
        made.train()


def test_what_adam_has_gathered_is_tensorflows_and_goes_on(tmp_path: Path) -> None:
    """An agent that was restored learns the same from the same batch as the one that was saved."""
    first, second = (trainer(FastPPO, {}, DISCRETE) for _ in range(2))
    for _ in range(3):
        first.train()
    checkpoints.save(first, tmp_path)
    checkpoints.restore_newest(second, tmp_path, print)
    batch = first.workers.local_worker().sample()

    for each in (first, second):
        random.seed(0)
        np.random.seed(0)
        each.optimizer._loop.run(batch, each.optimizer._minibatches(batch.count))

    learned = [each.get_policy().get_weights() for each in (first, second)]
    for name, weights in learned[0].items():
        np.testing.assert_array_equal(learned[1][name], weights, err_msg=name)
    gathered = second.get_policy().get_session().run(second.get_policy()._optimizer.variables())
    assert all(np.abs(each).max() > 0 for each in gathered)
