"""Which class of RLlib's trains a trial: the algorithm's own, or PPO's faster twin."""

from __future__ import annotations

from typing import Any, Callable, List, Mapping, Optional

from rl_app.training import replay, truncation
from rl_app.training.fast.no_loop import NoLoopError
from rl_app.training.playing_on import PlayingOn

FAST = "PPO"
# These have an actor of Ray's play even without workers
ASYNCHRONOUS = ("APPO", "IMPALA", "A3C", "APEX", "APEX_DDPG")


def trainer_class(run: str, config: Mapping[str, Any], fast: Optional[bool]) -> Any:
    """Return the class for the algorithm and the settings that differ from its defaults.

    Args:
        fast: False for RLlib's own; else the faster twin is taken where it can be.
    """
    if fast is not False and obstacle(run, config) is None:
        from rl_app.training.fast.trainer import FastPPO

        return whole(FastPPO)
    from ray.rllib.agents.registry import get_agent_class

    return whole(get_agent_class(run))


def built(run: str, config: Mapping[str, Any], fast: Optional[bool], build: Callable[[Any], Any]) -> Any:
    """Build the trainer of :func:`trainer_class`; RLlib's own where the faster twin cannot learn the user's network."""
    try:
        return build(trainer_class(run, config, fast))
    except NoLoopError as error:
        reason = str(error)
    trainer = build(trainer_class(run, config, False))
    trainer.no_loop = reason
    return trainer


def whole(kind: Any) -> Any:
    """Return the class of trainers with what is mended here of each."""
    return type(kind.__name__, (RestoredWhole, ToldTruncated, PlayingOn, kind), {})


class RestoredWhole:
    """Has a trainer's replay buffers within reach, and one without workers not ask Ray to keep what it restores."""

    workers: Any
    no_loop: Optional[str] = None
    """Why the faster twin, which was tried, could not learn the network."""
    several: Any = None
    """What the policies of a job with several are, as :class:`rl_app.policy.several.Several`."""

    def _init(self, *arguments: Any) -> None:
        with replay.within_reach() as self.local_replay:
            super()._init(*arguments)  # type: ignore[misc]  # RLlib's, which has no types

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        rest = dict(state)
        if not self.workers.remote_workers() and "worker" in rest:
            self.workers.local_worker().restore(rest.pop("worker"))
        super().__setstate__(rest)  # type: ignore[misc]  # RLlib's, which has no types


class ToldTruncated:
    """Has a trainer's policies tell an episode that was truncated from one that ended, where the algorithm can."""

    def _make_workers(self, env_creator: Any, policy: Any, config: Mapping[str, Any], *rest: Any, **named: Any) -> Any:
        if truncation.obstacle(self._name, config) is None:  # type: ignore[attr-defined]  # RLlib's, which has no types
            policy = truncation.telling(policy)
        return super()._make_workers(env_creator, policy, config, *rest, **named)  # type: ignore[misc]


def obstacle(run: str, config: Mapping[str, Any]) -> Optional[str]:
    """Return why the faster twin cannot take the settings at all; None where it can."""
    if run != FAST:
        return f"there is a faster one for {FAST} alone, and this is {run}"
    if config.get("multiagent", {}).get("policies"):
        return "there are several policies"
    for key in ("use_pytorch", "eager", "use_exec_api"):
        if config.get(key):
            return f"config.{key} is set"
    return None


def fallbacks(trainer: Any, run: str, config: Mapping[str, Any], fast: Optional[bool]) -> List[str]:
    """Return what RLlib's own does that the faster twin might have done, and why, a line each.

    Another algorithm than the twin's has none unless it was asked for: with ``fast`` True.
    """
    if fast is False or (fast is None and run != FAST):
        return []
    reason = obstacle(run, config) or trainer.no_loop
    if reason:
        return [f"trained by RLlib's own sampler and optimizer: {reason}"]
    from rl_app.training.fast.trainer import fallbacks

    return list(fallbacks(trainer))


def needs_ray(run: str, config: Mapping[str, Any]) -> bool:
    """Return whether Ray itself has to run, which takes a second or two to start: for workers, or for what asks for it.

    Args:
        config: the trial's, with the algorithm's defaults.
    """
    asks = ("num_workers", "evaluation_interval", "remote_worker_envs", "use_exec_api", "use_pytorch")
    filtered = config.get("observation_filter", "NoFilter") != "NoFilter"  # whose state goes from worker to worker
    return run in ASYNCHRONOUS or filtered or any(config.get(key) for key in asks)
