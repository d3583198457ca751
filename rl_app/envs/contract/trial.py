"""A few steps of an environment before Ray starts, so that what is wrong is said before anything is paid for."""

from __future__ import annotations

from typing import Any, Mapping, Optional

import gym

from rl_app.envs.contract import vector
from rl_app.envs.contract.creation import Creator
from rl_app.envs.contract.fitting import check_fit

TRIAL_STEPS = 20


def try_out(
    create: Creator,
    name: str,
    trial: Mapping[str, Any],
    config: Mapping[str, Any],
    seed: Optional[int],
) -> gym.Env:
    """Check that the algorithm takes the environment's spaces, then take a few random steps.

    Args:
        create: makes it strict: an observation outside its space is an error.
        trial: the job's, with ``run`` and ``config``.
        config: the same config with RLlib's defaults.

    Returns:
        The environment, which is closed.

    Raises:
        UserError: what an environment has to do, and this one does not; or what the algorithm cannot take.
    """
    env = create(trial["config"].get("env_config", {}))
    try:
        check_fit(env, name, trial["run"], config)
        vector.check(env, name, config)
        env.action_space.seed(seed)
        env.reset()
        for _ in range(TRIAL_STEPS):
            _, _, done, _ = env.step(env.action_space.sample())
            if done:
                env.reset()
    finally:
        env.close()
    return env


def try_out_many(env: Any, seed: Optional[int]) -> None:
    """Take a few random steps of all environments that a VectorEnv has.

    Raises:
        UserError: what it has to do, and does not.
    """
    try:
        env.action_space.seed(seed)
        env.vector_reset()
        for _ in range(TRIAL_STEPS):
            dones = env.vector_step([env.action_space.sample() for _ in range(env.num_envs)])[2]
            for index in (index for index, done in enumerate(dones) if done):
                env.reset_at(index)
    finally:
        env.close()
