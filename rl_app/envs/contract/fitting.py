"""Which spaces RLlib 0.8.5 can train in, by algorithm: a table, looked at before Ray starts."""

from __future__ import annotations

import math
from typing import Any, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from rl_app.envs.contract.blame import defined
from rl_app.envs.contract.notices import say_once
from rl_app.errors import UserError
from rl_app.job.settings import PREFIX
from rl_app.spaces.description import Space, chosen, leaves, limits_of, shape_of
from rl_app.spaces.flattening import ATARI_RAM_SHAPE, ATARI_SCREEN_SHAPE

DTYPES = (
    "float16",
    "float32",
    "float64",
    "bool",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
)
DEFAULT_FILTERS = ([84, 84], [42, 42])
Config = Mapping[str, Any]


class Fit(NamedTuple):
    """Which actions an algorithm can choose: the kinds of leaves, several of them, and without bounds."""

    kinds: Tuple[str, ...]
    several: bool
    unbounded: bool

    def reason_against(self, actions: Space, run: str) -> Optional[str]:
        """Say why the algorithm cannot choose in the space; None where it can."""
        parts = [chosen(leaf) for _, leaf in leaves(actions)]
        if len(parts) > 1 and not self.several:
            return f"{run} chooses one action, not several at once; {_who_takes(several=True)}"
        for part in parts:
            kind: str = part["type"]
            if kind not in self.kinds:
                return f"{run} chooses in {' or '.join(self.kinds)} alone; {_who_takes(kind)}"
            if part["type"] == "Box" and not self.unbounded and not _bounded(part):
                unbounded = _who_takes("Box", unbounded=True)
                return f"{run} scales its actions by their bounds, and these have none; {unbounded}"
        return None


ANY = Fit(("Discrete", "MultiDiscrete", "Box"), several=True, unbounded=True)
CHOICES = Fit(("Discrete",), several=False, unbounded=True)
TORQUES = Fit(("Box",), several=False, unbounded=False)
FITS: Mapping[str, Fit] = {
    **dict.fromkeys(("PPO", "APPO", "IMPALA", "A2C", "A3C", "PG", "MARWIL"), ANY),
    **dict.fromkeys(("DQN", "SimpleQ", "APEX"), CHOICES),
    **dict.fromkeys(("DDPG", "APEX_DDPG", "TD3"), TORQUES),
    "SAC": Fit(("Discrete", "Box"), several=False, unbounded=False),
}


def _who_takes(kind: str = "Discrete", several: bool = False, unbounded: bool = False) -> str:
    names = [
        name
        for name, fit in FITS.items()
        if kind in fit.kinds and fit.several >= several and fit.unbounded >= unbounded
    ]
    return f"{', '.join(names)} {'take' if len(names) > 1 else 'takes'} them: {PREFIX}run={names[0]}"


def _bounded(box: Space) -> bool:
    """Return whether the width of all its numbers is one of float32's, in which they are scaled."""
    low, high = (side.astype(np.float32) for side in limits_of(box))
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(high - low).all())


def check_fit(env: Any, name: str, run: str, config: Config) -> None:
    """Raise UserError where the algorithm cannot be trained in the environment; say what RLlib does unasked."""
    check_spaces(env.declared, env.env, name, run, config)
    check_horizon(env, name, config)


def check_spaces(declared: Tuple[Space, Space], own: Any, name: str, run: str, config: Config) -> None:
    """Raise UserError where the algorithm cannot be trained in the spaces that are declared.

    Args:
        own: what has them, as Gym's spaces.
    """
    observations, actions = declared
    kind = defined(type(own.unwrapped))
    for which, space in (("observation_space", observations), ("action_space", actions)):
        reason = next(_unfit(space), None)
        if reason:
            raise UserError(f"env = {name}: its {which} {_short(getattr(own, which))}: {reason}{kind}")
    reason = FITS[run].reason_against(actions, run)
    if reason:
        raise UserError(f"env = {name}: its action_space {_short(own.action_space)}: {reason}{kind}")
    reason = next(_unseen(observations, run, config), None)
    if reason:
        raise UserError(f"env = {name}: its observation_space {_short(own.observation_space)}: {reason}{kind}")
    if any(leaf["type"] == "Box" and leaf["shape"] == ATARI_RAM_SHAPE for _, leaf in leaves(observations)):
        say_once(
            f"{name} ram",
            f"env = {name}: RLlib takes a Box of 128 numbers for an Atari machine's memory, and shows the agent "
            f"(x - 128) / 128; where it is none, the shape (128, 1) keeps the numbers as they are{kind}",
        )
    if config.get("normalize_actions") and (config["clip_actions"] or FITS[run] != ANY):
        for reached in _unreached(actions):
            say_once(f"{name} normalized", f"env = {name}: {reached}; config.normalize_actions=false reaches all{kind}")


def _unfit(space: Space) -> Iterator[str]:
    """Yield why no algorithm takes the space."""
    for inner in _all(space):
        if inner["type"] == "Dict" and not all(isinstance(key, str) for key in inner["spaces"]):
            yield f"the keys of a Dict have to be strings, got {', '.join(map(repr, inner['spaces']))}"
    parts = [leaf for _, leaf in leaves(space)]
    if not parts or any(0 in shape_of(leaf) for leaf in parts):
        yield "a part of it is empty"
    for leaf in parts:
        if leaf["type"] == "Box" and leaf["dtype"] not in DTYPES:
            yield f"its dtype {leaf['dtype']}: expected one of {', '.join(DTYPES)}"


def _unreached(actions: Space) -> Iterator[str]:
    """Yield where RLlib chooses a part of the bounds alone.

    What it stretches from -1 to 1 over the bounds lies within these bounds already.
    """
    if actions["type"] != "Box":
        return
    low, high = (side.astype(np.float64).ravel() for side in limits_of(actions))
    with np.errstate(invalid="ignore"):  # without bounds all is reached
        least, most = (np.clip(low + (end + 1) * (high - low) / 2, low, high) for end in (low, high))
    for number in np.flatnonzero((least > low) | (most < high))[:1]:
        bounds, part = (f"{ends[0][number]:g} to {ends[1][number]:g}" for ends in ((low, high), (least, most)))
        yield f"of actions from {bounds} RLlib's normalize_actions chooses {part} alone"


def _all(space: Space) -> Iterator[Space]:
    yield space
    inner = space.get("spaces", [])
    for part in inner.values() if isinstance(inner, Mapping) else inner:
        yield from _all(part)


def _unseen(space: Space, run: str, config: Config) -> Iterator[str]:
    """Yield why the algorithm cannot look at the observations."""
    if any(leaf["type"] == "Box" and leaf["shape"] == ATARI_SCREEN_SHAPE for _, leaf in leaves(space)):
        yield (
            "RLlib takes the shape (210, 160, 3) for an Atari machine's screen, which it cuts and shrinks, and the "
            "exported policy cannot: wrap the environment so that its pictures are 84 x 84"
        )
    if space["type"] == "Box" and len(space["shape"]) == 3 and not config["model"]["custom_model"]:
        yield from _not_convolved(space["shape"], run, config)


def _not_convolved(shape: Sequence[int], run: str, config: Config) -> Iterator[str]:
    model = config["model"]
    if run == "SAC" and not config["use_state_preprocessor"]:
        yield f"SAC has a network for pictures only with {PREFIX}config.use_state_preprocessor=true"
    if model["use_lstm"]:
        yield f"the LSTM of this image sees rows of numbers: give it a shape of one dimension, ({math.prod(shape)},)"
    filters = model["conv_filters"]
    example = f"'config.model.conv_filters={str(suggested(shape)).replace(' ', '')}'"
    if not filters:
        if list(shape[:2]) not in DEFAULT_FILTERS:
            known = "RLlib has filters for pictures of 84 x 84 and 42 x 42 alone"
            stacked = shape[0] <= 4 and min(shape[1:]) > 4 * shape[0]
            first = "; the last axis is the channels', and here the first may be" if stacked else ""
            yield f"{known}; for this shape give {example}, or others{first}"
        return
    reason = misfit(shape, filters)
    if reason:
        yield f"{PREFIX}config.model.conv_filters = {filters}: {reason}, such as {example}"


def misfit(shape: Sequence[int], filters: Any) -> Optional[str]:
    """Say why RLlib's network cannot be made of the filters; None where it can."""
    if len(filters) < 2:
        return "must be two filters or more"
    sides = list(shape[:2])
    for index, layer in enumerate(filters):
        try:
            channels, kernel, stride = layer
            kernel = [kernel, kernel] if isinstance(kernel, int) else list(kernel)
            if min(channels, stride, *kernel) < 1 or len(kernel) != 2:
                raise ValueError
        except (TypeError, ValueError):
            return "each must be [channels, [height, width], stride], of integers from 1"
        if index < len(filters) - 1:
            sides = [math.ceil(side / stride) for side in sides]
        else:
            left = [(side - width) // stride + 1 for side, width in zip(sides, kernel)]
            if left != [1, 1]:
                return (
                    f"the last must leave 1 x 1, and has {sides[0]} x {sides[1]} before it: its kernel must be {sides}"
                )
    return None


def suggested(shape: Sequence[int]) -> List[List[Any]]:
    """Give filters for pictures of the shape, in the manner of RLlib's own."""
    filters: List[List[Any]] = []
    sides, channels = list(shape[:2]), 16
    while max(sides) > 11 or not filters:
        stride = 2 if max(sides) > 11 else 1
        width = 4 if stride == 2 else 3
        filters.append([channels, [width, width], stride])
        sides, channels = [math.ceil(side / stride) for side in sides], min(2 * channels, 64)
    return [*filters, [256, sides, 1]]


def check_horizon(env: Any, name: str, config: Config) -> None:
    limit = getattr(getattr(env.unwrapped, "spec", None), "max_episode_steps", None)
    if config["horizon"] and limit and config["horizon"] > limit:
        raise UserError(
            f"{PREFIX}config.horizon = {config['horizon']}: must be at most {limit}, after which env = {name} "
            "ends an episode itself"
        )


def _short(space: Any) -> str:
    text = " ".join(str(space).split())
    return text if len(text) <= 200 else f"{text[:200]}…"
