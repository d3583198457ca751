"""The distributions of RLlib's actions: a sample, and how probable it was."""

from __future__ import annotations

import math
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from rl_app.spaces.description import Actor, Array, Space, chosen

# RLlib's MIN_LOG_NN_OUTPUT and MAX_LOG_NN_OUTPUT, and its SMALL_NUMBER
SQUASHED_LOG_STD = (-20.0, 2.0)
SMALL = 1e-6


class Part(NamedTuple):
    """One part of the action: its space, and its bounds where it is a Box."""

    space: Space
    low: Optional[Array]
    high: Optional[Array]


def part_of(actor: Actor, leaf: Space) -> Part:
    """Give what RLlib chooses in for a leaf, with its bounds in a row."""
    if actor.low is None:
        return Part(chosen(leaf), None, None)
    space = chosen(leaf)
    low, high = (side.astype(space["dtype"]).ravel() for side in (actor.low, actor.high))
    return Part(space, low, high)


def can_draw(distribution: str) -> bool:
    """Tell whether actions can be drawn from RLlib's distribution of this name."""
    return distribution in (*_DRAWS, "MultiActionDistribution")


def draw(
    distribution: str, parts: Sequence[Part], inputs: Array, rng: np.random.Generator
) -> List[Tuple[Array, Array]]:
    """Draw actions, and give their log-probabilities: a pair for each part of the action."""
    if distribution != "MultiActionDistribution":
        return [_DRAWS[distribution](inputs, parts[0].space, rng)]
    names = [_OF_PART[part.space["type"]] for part in parts]
    widths = [_WIDTHS[name](part.space) for name, part in zip(names, parts)]
    split = np.split(inputs, np.cumsum(widths)[:-1], axis=1)
    return [_DRAWS[name](columns, part.space, rng) for name, columns, part in zip(names, split, parts)]


def _categorical(logits: Array, _: Space, rng: np.random.Generator) -> Tuple[Array, Array]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    logp = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    actions = np.argmax(logp + rng.gumbel(size=logp.shape), axis=1)
    return actions, np.take_along_axis(logp, actions[:, None], axis=1)[:, 0]


def _multi_categorical(logits: Array, space: Space, rng: np.random.Generator) -> Tuple[Array, Array]:
    split = np.split(logits, np.cumsum(space["nvec"])[:-1], axis=1)
    drawn = [_categorical(columns, space, rng) for columns in split]
    return np.stack([actions for actions, _ in drawn], axis=1), sum(logp for _, logp in drawn)


def _normal(mean: Array, log_std: Array, rng: np.random.Generator) -> Tuple[Array, Array]:
    noise = rng.standard_normal(mean.shape, dtype=np.float32)
    logp = -0.5 * noise**2 - 0.5 * np.float32(math.log(2.0 * math.pi)) - log_std
    return mean + np.exp(log_std) * noise, logp


def _diag_gaussian(inputs: Array, _: Space, rng: np.random.Generator) -> Tuple[Array, Array]:
    mean, log_std = np.split(inputs, 2, axis=1)
    actions, logp = _normal(mean, log_std, rng)
    return actions, logp.sum(axis=1)


def _squashed_gaussian(inputs: Array, _: Space, rng: np.random.Generator) -> Tuple[Array, Array]:
    mean, log_std = np.split(inputs, 2, axis=1)
    raw, logp = _normal(mean, np.clip(log_std, *SQUASHED_LOG_STD), rng)
    actions = np.tanh(raw)
    return actions, np.clip(logp, -100, 100).sum(axis=1) - np.log(1 - actions**2 + SMALL).sum(axis=1)


_DRAWS: Dict[str, Callable[[Array, Space, np.random.Generator], Tuple[Array, Array]]] = {
    "Categorical": _categorical,
    "MultiCategorical": _multi_categorical,
    "DiagGaussian": _diag_gaussian,
    "SquashedGaussian": _squashed_gaussian,
}


# What RLlib's MultiActionDistribution makes of each part of a Tuple, and how many inputs that takes
_OF_PART = {"Discrete": "Categorical", "MultiDiscrete": "MultiCategorical", "Box": "DiagGaussian"}


_WIDTHS: Dict[str, Callable[[Space], int]] = {
    "Categorical": lambda space: int(space["n"]),
    "MultiCategorical": lambda space: sum(space["nvec"]),
    "DiagGaussian": lambda space: 2 * math.prod(space["shape"]),
}
