"""What the lean sampler does not do, so that RLlib's own does it."""

from __future__ import annotations

from typing import Any, Optional

import gym
from ray.rllib.agents.callbacks import DefaultCallbacks
from ray.rllib.env.atari_wrappers import MonitorEnv, get_wrapper_by_cls, is_atari
from ray.rllib.env.base_env import _VectorEnvToBaseEnv
from ray.rllib.evaluation.sampler import SyncSampler
from ray.rllib.utils.exploration import StochasticSampling


def of_sampler(worker: Any) -> Optional[str]:
    """Return why a rollout worker cannot sample by it; None where it can."""
    config = worker.policy_config
    if worker.multiagent or type(worker.async_env) is not _VectorEnvToBaseEnv:
        return "several agents, or an environment that is not stepped in turn"
    policy = worker.get_policy()
    if policy.is_recurrent():
        return "the network has a memory"
    if config["callbacks"] is not DefaultCallbacks:
        return "config.callbacks look at episodes"
    if config["input"] != "sampler" or not isinstance(worker.sampler, SyncSampler):
        return "config.input or config.sample_async has the samples come from elsewhere"
    if type(policy.exploration) is not StochasticSampling or not config["explore"]:
        return "config.explore or config.exploration_config is not PPO's own"
    if isinstance(policy.action_space, (gym.spaces.Tuple, gym.spaces.Dict)):
        return "an action of several parts"
    if any(is_atari(env) or get_wrapper_by_cls(env, MonitorEnv) for env in worker.async_env.get_unwrapped() or []):
        return "Atari games count lives as episodes"
    return None
