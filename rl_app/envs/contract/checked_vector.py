"""A VectorEnv whose every word is checked, as :class:`rl_app.envs.contract.checked.CheckedEnv` checks Gym's."""

from __future__ import annotations

from functools import partial
from typing import Any, List, Optional, Sequence, Tuple

import numpy as np
from ray.rllib.env import VectorEnv

from rl_app.envs.contract.actions import as_it_is
from rl_app.envs.contract.checked import Manner
from rl_app.envs.contract.checks import Checks
from rl_app.envs.contract.observations import shown
from rl_app.envs.contract.vector import inner_envs
from rl_app.envs.contract.watchdog import closed, watched

COLUMNS = ("observations", "rewards", "dones", "infos")


class CheckedVector(VectorEnv):  # type: ignore[misc]  # Ray has no types
    """Passes everything on; what goes wrong in the environment becomes one line that says so.

    Observations that come as one array of the space's dtype are looked at together, which is faster.
    """

    def __init__(self, env: Any, name: str, manner: Manner, seed: Optional[int]) -> None:
        self.env, self.num_envs = env, env.num_envs
        self._name, self._deadline_s = name, manner.deadline_s
        self._watched = partial(watched, name, manner.deadline_s)
        self._checks = Checks(env, name, manner)
        self.declared = self._checks.declared
        self.observation_space, self.action_space = self._checks.observation_space, self._checks.action_space
        if seed is not None and hasattr(env, "seed"):
            self._watched("seed", env.seed, seed)

    def seed(self, seed: Optional[int] = None) -> None:
        """Do nothing: it is seeded from the start, and RLlib's seeds of two workers would overlap."""

    def vector_reset(self) -> Any:
        observations = self._watched("vector_reset", self.env.vector_reset)
        return self._observed("vector_reset", self._column("vector_reset", "observations", observations))

    def reset_at(self, index: int) -> Any:
        return self._checks.observed("reset_at", self._watched("reset_at", self.env.reset_at, index))

    def vector_step(self, actions: Sequence[Any]) -> Tuple[Any, Any, Any, List[Any]]:
        where, checks = "vector_step", self._checks
        acts = actions if checks.act is as_it_is else [checks.act(action) for action in actions]
        result = self._watched(where, self.env.vector_step, acts)
        if not isinstance(result, (tuple, list)) or len(result) != len(COLUMNS):
            raise checks.wrong(where, f"{shown(result)}: expected ({', '.join(COLUMNS)})")
        observations, rewards, dones, infos = (
            self._column(where, name, column) for name, column in zip(COLUMNS, result)
        )
        return (
            self._observed(where, observations),
            self._rewards(rewards),
            self._dones(dones),
            self._infos(infos),
        )

    def get_unwrapped(self) -> Any:
        return inner_envs(self.env)

    def close(self) -> None:
        """Close it, where it can be."""
        if hasattr(self.env, "close"):
            closed(self._name, self._deadline_s, self.env.close)

    def _column(self, where: str, what: str, column: Any) -> Any:
        """Return the column, which has to have as many values as there are environments."""
        if not hasattr(column, "__len__") or len(column) != self.num_envs:
            given = f"{len(column)} {what}" if hasattr(column, "__len__") else f"{shown(column)} for {what}"
            raise self._checks.wrong(where, f"{given}: expected {self.num_envs}")
        return column

    def _observed(self, where: str, observations: Any) -> Any:
        rows = self._checks.reader.rows(observations)
        return [self._checks.observed(where, each) for each in observations] if rows is None else rows

    def _dones(self, dones: Any) -> Any:
        if type(dones) is np.ndarray and dones.dtype == bool and dones.ndim == 1:
            return dones.copy()  # the environment may use its array again
        return [
            bool(done) if type(done) in (bool, np.bool_) else self._checks.done("vector_step", done) for done in dones
        ]

    def _infos(self, infos: Any) -> List[Any]:
        if set(map(type, infos)) == {dict} and not self._checks.plain_infos:
            return list(infos)
        return [self._checks.info("vector_step", info) for info in infos]

    def _rewards(self, rewards: Any) -> Any:
        an_array = type(rewards) is np.ndarray and rewards.dtype.kind == "f" and rewards.ndim == 1
        if an_array and b"\0" not in np.isfinite(rewards).tobytes():
            return rewards.astype(np.float64)
        return [self._checks.reward("vector_step", reward) for reward in rewards]
