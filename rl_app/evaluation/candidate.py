"""A model to evaluate, and where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Mapping, NamedTuple

if TYPE_CHECKING:
    from rl_app.envs.contract.creation import Creator

Say = Callable[[str], None]


@dataclass(frozen=True)
class Candidate:
    """A model to evaluate, of ``channel``; ``facts`` are its policy.json, {} where a launcher of AWS's made it."""

    name: str
    channel: Path
    directory: Path
    facts: Mapping[str, Any]
    params: Mapping[str, Any]


class EvalEnv(NamedTuple):
    """The environment in which all candidates play."""

    name: str
    env_config: Mapping[str, Any]
    create: Creator
    create_for_rllib: Creator
    """The same with the spaces that RLlib takes, for an agent that Ray restores."""
