"""A few steps of an environment before Ray starts, so that what is wrong is said before anything is paid for."""

from __future__ import annotations

from typing import Any, Mapping, Optional

import cloudpickle  # type: ignore[import-untyped]
import gym
import numpy as np

from rl_app.envs.contract import vector
from rl_app.envs.contract.agents import has_agents
from rl_app.envs.contract.blame import gave
from rl_app.envs.contract.creation import Creator
from rl_app.envs.contract.fitting import check_fit
from rl_app.job.settings import PREFIX

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
        if has_agents(env):
            from rl_app.envs.contract.agents_trial import try_out_agents

            try_out_agents(env, name, trial["run"], config, seed)
            return env
        check_fit(env, name, trial["run"], config)
        vector.check(env, name, config)
        env.action_space.seed(seed)
        observation = env.reset()
        for _ in range(TRIAL_STEPS):
            observation, _, done, info = env.step(allowed(env.action_space, observation))
            check_sent(info, env, name, config)
            if done:
                observation = env.reset()
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
        observations = list(env.vector_reset())
        for _ in range(TRIAL_STEPS):
            found, _, dones, _ = env.vector_step([allowed(env.action_space, each) for each in observations])
            observations = [env.reset_at(index) if done else found[index] for index, done in enumerate(dones)]
    finally:
        env.close()


def check_sent(info: Any, env: Any, name: str, config: Mapping[str, Any]) -> None:
    """Raise UserError where rollout workers, of which there are some, could not hand an info on to the trainer."""
    if not config.get("num_workers"):
        return
    try:
        cloudpickle.dumps(info)
    except Exception as error:  # of whatever class is in it
        why = f"which {type(error).__name__} says of it: {' '.join(str(error).split())}"
        none = f"Ray's workers hand it on, and {PREFIX}config.num_workers=0 has none"
        raise gave(name, env, "step", f"an info that cannot be pickled, {why}; {none}") from None


def allowed(actions: gym.Space, observation: Any) -> Any:
    """Draw an action; where the observation has an ``action_mask`` of a Discrete's, one that it allows."""
    mask = observation.get("action_mask") if isinstance(observation, Mapping) else None
    action = actions.sample()
    if mask is None or np.shape(mask) != (getattr(actions, "n", None),) or not np.any(mask):
        return action
    while not mask[action - getattr(actions, "start", 0)]:
        action = actions.sample()
    return action
