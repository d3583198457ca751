"""The lean sampler with what a user brings: distributions, environments that draw or fail, games of several lives."""

from __future__ import annotations

import random
from typing import Any, Callable, Dict, Iterator, List

import gym
import numpy as np
import pytest
import ray
from ray.rllib.agents.ppo import PPOTrainer
from ray.rllib.env.atari_wrappers import MonitorEnv
from ray.rllib.models import ModelCatalog
from ray.rllib.models.tf.tf_action_dist import Categorical
from ray.rllib.models.tf.tf_modelv2 import TFModelV2
from ray.rllib.utils import try_import_tf
from ray.tune.logger import NoopLogger
from ray.tune.registry import register_env

from rl_app.envs.contract.creation import creator
from rl_app.errors import UserError
from rl_app.training.fast import limits
from rl_app.training.fast.trainer import FastPPO, fallbacks
from tests.app.test_fast import COMPLETE, CONFIG, SEED, alike, both, same_batches, same_learning

tf = try_import_tf()


@pytest.fixture(scope="module", autouse=True)
def in_ray() -> Iterator[None]:
    """Ray, which RLlib's filters ask for."""
    ray.init(local_mode=True, include_webui=False)
    yield
    ray.shutdown()


class Masking(TFModelV2):  # type: ignore[misc]  # Ray has no types
    """What its distribution looks at besides the logits: the observation, and a variable of its own."""

    def __init__(self, obs_space: Any, action_space: Any, num_outputs: int, model_config: Any, name: str) -> None:
        super().__init__(obs_space, action_space, num_outputs, model_config, name)
        seen = tf.keras.layers.Input(obs_space.shape)
        self.network = tf.keras.Model(seen, [tf.keras.layers.Dense(size)(seen) for size in (num_outputs, 1)])
        self.scale = tf.get_variable("scale", [], tf.float32, tf.zeros_initializer(), use_resource=True)
        self.register_variables([*self.network.variables, self.scale])

    def forward(self, input_dict: Any, state: Any, seq_lens: Any) -> Any:
        logits, self.values = self.network(input_dict["obs_flat"])
        refused = 9.0 * tf.cast(input_dict["obs_flat"][:, :1] > 0, tf.float32)
        self.mask = tf.pad(-refused, [[0, 0], [0, self.num_outputs - 1]])
        return logits, state

    def value_function(self) -> Any:
        return tf.reshape(self.values, [-1])


class Masked(Categorical):  # type: ignore[misc]
    def __init__(self, inputs: Any, model: Any = None) -> None:
        super().__init__(inputs * tf.exp(model.scale) + model.mask, model)


@pytest.mark.parametrize("more", [{}, COMPLETE])
def test_a_distribution_that_looks_at_its_network_is_as_by_rllib(more: Dict[str, Any]) -> None:
    ModelCatalog.register_custom_model("masking", Masking)
    ModelCatalog.register_custom_action_dist("masked", Masked)
    own = {"model": {"custom_model": "masking", "custom_action_dist": "masked"}, "vf_share_layers": True}
    theirs, ours = both({**own, "lr": 0.01, **more}, 0)
    assert not list(fallbacks(ours))
    for turn in range(2):
        results = alike(turn, theirs.train, ours.train)
        same_learning(theirs, ours, 1e-4, *(result["info"]["learner"] for result in results))
        same_batches(*alike(9, theirs.workers.local_worker().sample, ours.workers.local_worker().sample), most=1e-4)


class Drawing(gym.Env):  # type: ignore[misc]  # gym has no types
    """Draws what is seen from Python's generator; one of several fails once."""

    observation_space, action_space = gym.spaces.Box(0.0, 1.0, (1,), np.float32), gym.spaces.Discrete(2)
    fails = 0

    def reset(self) -> Any:
        self.steps, self.seen = 0, np.array([random.random()], np.float32)
        return self.seen

    def step(self, action: Any) -> Any:
        self.steps += 1
        if self.fails == self.steps:
            raise OSError("for once")
        return self.seen, 1.0, self.steps == 5, {"action": 0}


def of_drawing(env: Callable[[], Any]) -> List[Any]:
    """The local workers of RLlib's trainer and of ours."""
    register_env("drawing", creator("drawing", SEED, {"drawing": lambda env_config: env()}))
    workers = []
    for kind in (PPOTrainer, FastPPO):
        made = kind(config={**CONFIG, "env": "drawing"}, logger_creator=lambda config: NoopLogger(config, "/tmp"))
        workers.append(made.workers.local_worker())
    return workers


def test_environments_that_end_together_draw_from_pythons_generator_in_turn() -> None:
    theirs, ours = of_drawing(Drawing)
    one, other = alike(0, theirs.sample, ours.sample)
    np.testing.assert_array_equal(one["obs"], other["obs"])
    np.testing.assert_array_equal(one["eps_id"], other["eps_id"])


def test_after_an_error_of_an_environment_there_is_no_batch() -> None:
    """RLlib's workers are left out then with ``ignore_worker_failures``, as those of hosts that are gone."""
    for worker in of_drawing(Drawing):
        worker.async_env.vector_env.envs[2].unwrapped.fails = 4
        with pytest.raises(UserError, match="for once"):
            worker.sample()
        worker.async_env.vector_env.envs[2].unwrapped.fails = 0
        with pytest.raises(StopIteration):
            worker.sample()


class Lives(gym.Wrapper):  # type: ignore[misc]  # gym has no types
    """Ends an episode within a game, of which MonitorEnv knows."""

    def step(self, action: Any) -> Any:
        observation, reward, _, info = self.env.step(action)
        return observation, reward, self.unwrapped.steps % 2 == 1, info


def test_games_of_several_lives_are_counted_by_rllibs_own() -> None:
    theirs, ours = of_drawing(lambda: Lives(MonitorEnv(Drawing())))
    assert limits.of_sampler(ours) == limits.of_sampler(theirs) == "Atari games count lives as episodes"
