"""A few steps of an environment of several agents before Ray starts."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from rl_app.envs.contract.checks import Checks
from rl_app.envs.contract.fitting import check_horizon, check_spaces
from rl_app.envs.contract.trial import TRIAL_STEPS, allowed, check_sent
from rl_app.envs.contract.vector import ONE_BY_ONE
from rl_app.errors import UserError
from rl_app.job.settings import PREFIX


def try_out_agents(env: Any, name: str, run: str, config: Mapping[str, Any], seed: Optional[int]) -> None:
    """Check that the algorithm takes each agent's spaces, and take a few random steps.

    Raises:
        UserError: what an environment has to do, and this one does not; or what RLlib cannot do with it.
    """
    for key in ONE_BY_ONE:
        if config.get(key):
            only = "RLlib does that with environments of one agent alone"
            raise UserError(f"{PREFIX}config.{key} = true: not with env = {name}, which has several agents: {only}")
    check_horizon(env, name, config)
    for agent in env.named:
        env.checks_of(agent)
    observations = env.reset()
    for agent in list(env.known):
        _check(env.known[agent], name, run, config, seed)
    for _ in range(TRIAL_STEPS):
        actions = {agent: allowed(env.known[agent].action_space, each) for agent, each in observations.items()}
        seen = set(env.known)
        found, _, dones, infos = env.step(actions)
        check_sent(infos, env, name, config)
        for agent in [each for each in env.known if each not in seen]:
            _check(env.known[agent], name, run, config, seed)
        observations = {agent: each for agent, each in found.items() if not dones.get(agent)}
        if dones["__all__"]:
            observations = env.reset()


def _check(checks: Checks, name: str, run: str, config: Mapping[str, Any], seed: Optional[int]) -> None:
    check_spaces(checks.declared, checks.own, name, run, config)
    checks.action_space.seed(seed)
