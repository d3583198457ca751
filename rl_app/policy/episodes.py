"""Episodes of an environment, played by a policy and made the same again by their seeds."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any, Iterator, List, Mapping, NamedTuple, Optional, Protocol, Union

import numpy as np

if TYPE_CHECKING:
    from rl_app.policy.policy import Policy

Array = Any  # numpy 1.23 has no type for "an array of this shape and dtype"


class Player(Protocol):
    """Chooses the actions of one episode after the other; what it remembers of one ends with it."""

    def begin(self, seed: Optional[int]) -> None:
        """Before the first action of an episode; ``seed`` is for sampled actions."""

    def act(self, observation: Any, reward: float) -> Any:
        """Return the action for an observation, as ``env.step`` takes it; ``reward`` is the last step's, 0 at first."""


class Agents(Protocol):
    """Chooses the actions of several agents, as :class:`Player` does of one."""

    def begin(self, seed: Optional[int]) -> None:
        """Before the first action of an episode; ``seed`` is for sampled actions."""

    def act(self, observation: Mapping[Any, Any], reward: Any) -> Mapping[Any, Any]:
        """Return the actions of the agents that are observed, as ``env.step`` takes them.

        Args:
            reward: the last step's, by agent; 0 at first.
        """


class Step(NamedTuple):
    """``number`` 0 is the reset, which has no reward.

    Of several agents ``reward`` is the sum, and ``by_agent`` has what each of them was given.
    """

    number: int
    reward: float
    done: bool
    by_agent: Mapping[Any, float] = {}


class Exported:
    """Plays an exported policy: without Ray, with the recurrent state and the last action carried along.

    Raises:
        UserError: actions are to be sampled, and the policy has no distribution.
    """

    def __init__(self, policy: Policy, deterministic: bool = True) -> None:
        self._policy = policy
        self._deterministic = deterministic

    def begin(self, seed: Optional[int]) -> None:
        self._state: List[Array] = self._policy.initial_state(1)
        self._last: Optional[Array] = None
        self._rng = np.random.default_rng(seed)

    def act(self, observation: Any, reward: float) -> Any:
        policy = self._policy
        previous = None if self._last is None else {"prev_action": self._last, "prev_reward": np.array([reward])}
        flat = policy.flatten([observation])
        outputs = policy.act(flat, self._state, self._deterministic, self._rng, previous)
        self._state = [outputs[f"state_out_{i}"] for i in range(len(self._state))]
        self._last = _actions(outputs)
        return policy.env_actions(outputs)[0]


def _actions(outputs: Mapping[str, Array]) -> Array:
    """Return the last action as networks take it that look back: unbounded, the parts of a Tuple in one row."""
    parts = [part for name, part in outputs.items() if re.fullmatch(r"actions_\d+", name)]
    return parts[0] if len(parts) == 1 else np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def steps(
    env: Any, player: Union[Player, Agents], seed: Optional[int] = None, most: Optional[int] = None
) -> Iterator[Step]:
    """Play one episode, or its first ``most`` steps; without ``seed`` the environment goes on as it was seeded."""
    if seed is not None:
        _seed(env, seed)
    player.begin(seed)
    observation, reward, step = env.reset(), 0.0, Step(0, 0.0, False)
    yield step
    while not step.done and step.number != most:
        observation, reward, done, _ = env.step(player.act(observation, reward))
        if isinstance(reward, Mapping):
            # Who is done is given a last observation, and acts no more
            observation = {agent: seen for agent, seen in observation.items() if not done.get(agent)}
            step = Step(step.number + 1, float(sum(reward.values())), done["__all__"], reward)
        else:
            reward = float(reward)
            step = Step(step.number + 1, reward, bool(done))
        yield step


def _seed(env: Any, seed: int) -> None:
    """Seed the environment, and the generators of the process, which some environments draw from."""
    env.seed(seed)
    random.seed(seed)
    np.random.seed(seed)


def seeds(seed: int, episodes: int) -> List[int]:
    """Return a seed for each episode, of 31 bits; the first ones are the same for however many.

    Drawn, not counted up from ``seed``: evaluations of neighbouring seeds share no episode, and none is one of
    training's environments, which count up from the seed of the training.
    """
    return [int(word >> 1) for word in np.random.SeedSequence(seed).generate_state(episodes, np.uint32)]
