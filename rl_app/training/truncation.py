"""Episodes that were cut, and not ended by the environment: what would have come is estimated, as Gymnasium means it.

RLlib 0.8.5 knows only ``done``, and takes nothing to come after it. Where a trajectory is handed on with its last step
not done, PPO and its kin add the value of the last observation, and what learns from a replay buffer its Q-values: so
does RLlib itself with a fragment that ends in the midst of an episode.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional

V_TRACE = ("IMPALA", "APPO")


def obstacle(run: str, config: Mapping[str, Any]) -> Optional[str]:
    """Say why an algorithm cannot tell a truncated episode from one that ended; None where it can.

    Args:
        config: the trial's, with the algorithm's defaults.
    """
    if run in V_TRACE and config.get("vtrace"):
        return "V-trace lays one episode behind the other, and would go on in the next"
    if run == "PG":
        return "it estimates no value"
    if config.get("eager"):
        return "with config.eager, RLlib makes policies of its own"
    return None


def about(name: str, run: str, config: Mapping[str, Any]) -> str:
    """Return the line that says that an environment is adapted, and what becomes of its truncated episodes."""
    reason = obstacle(run, config)
    told = f"count as ended in {run}: {reason}" if reason else "go on in the value that is expected after them"
    return f"env = {name} is written for Gym 0.26 or Gymnasium, and adapted to RLlib 0.8.5; truncated episodes {told}"


def telling(policy: Any) -> Any:
    """Return the class of policies as one that leaves a truncated trajectory open."""

    def postprocess_trajectory(
        self: Any, sample_batch: Any, other_agent_batches: Any = None, episode: Any = None
    ) -> Any:
        leave_open(sample_batch)
        return policy.postprocess_trajectory(self, sample_batch, other_agent_batches, episode)

    return type(policy.__name__, (policy,), {"postprocess_trajectory": postprocess_trajectory})


def leave_open(trajectory: Any) -> None:
    """Have the last step of a trajectory not be done where it was truncated."""
    from rl_app.envs.contract.newer import is_truncated  # with Gym, which a job that is refused need not import

    if "infos" in trajectory and is_truncated(trajectory["infos"][-1]):
        trajectory["dones"][-1] = False
