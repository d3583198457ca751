"""A new job that begins with the weights of an earlier one, which lies in the channel ``checkpoint``.

Weights and observation filters alone are taken over: steps, schedules, optimizers and what else adapts begin anew.
"""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

from rl_app.errors import UserError
from rl_app.job.agents import ONE
from rl_app.job.sagemaker import WEIGHTS
from rl_app.policy.loading import read_facts
from rl_app.storage.artifacts import CHECKPOINT, POLICY, opened
from rl_app.training import checkpoints


def check(channel: Path, algorithm: str, env: str) -> None:
    """Refuse, before anything is started, a channel that holds no checkpoint, or one of another algorithm.

    Raises:
        UserError: what is wrong with it.
    """
    with tempfile.TemporaryDirectory() as scratch:
        file = found(channel, Path(scratch))
        if file is None or not file.with_name(POLICY).is_file():  # which alone says what trained it
            return
        facts = read_facts(file.with_name(POLICY))
        if facts["algorithm"] != algorithm:
            raise UserError(
                f"channel {channel.name}: is of {facts['algorithm']} in {facts.get('env')}, "
                f"and this job trains {algorithm} in {env}"
            )


def begin(trainer: Any, channel: Path) -> bool:
    """Give the trainer, and all its workers, the weights and filters of the checkpoint; return whether there is one.

    It is a pickle, and reading one runs what code is in it.

    Raises:
        UserError: it cannot be read, or its network is another one.
    """
    with tempfile.TemporaryDirectory() as scratch:
        file = found(channel, Path(scratch))
        if file is None:
            return False
        state = _state(file)
    worker = trainer.workers.local_worker()
    for name, policy in worker.policy_map.items():
        policy.set_weights(_fitting(name, policy.get_weights(), state["state"].get(name), file.name))
        if hasattr(policy, "update_target"):
            policy.update_target()
    worker.sync_filters(state["filters"])
    if trainer.workers.remote_workers():
        import ray

        weights = ray.put(worker.get_weights())
        for remote in trainer.workers.remote_workers():
            remote.set_weights.remote(weights)
            remote.sync_filters.remote(state["filters"])
    return True


def found(channel: Path, scratch: Path) -> Optional[Path]:
    """Return the checkpoint's file in the channel; None where the job has no such channel.

    The channel holds a model.tar.gz, of ours or of AWS's launcher, unpacked or not, or a directory of checkpoints, of
    which the newest counts.

    Raises:
        UserError: there is none in it, or the archive cannot be read or is too large.
    """
    if not channel.is_dir() or not any(channel.iterdir()):
        return None
    kept = checkpoints.kept(channel) or checkpoints.kept(channel / "checkpoints")
    if kept:
        return kept[-1].path
    single = [path.with_suffix("") for path in channel.glob("checkpoint-*.tune_metadata")]
    if len(single) == 1 and single[0].is_file():
        return single[0]
    file = opened(channel, scratch) / CHECKPOINT
    if not file.is_file():
        raise UserError(f"channel {channel.name}: the model in it has no {CHECKPOINT}, with which a job could begin")
    return file


def _state(file: Path) -> Dict[str, Any]:
    try:
        with file.open("rb") as stream:
            state: Dict[str, Any] = pickle.loads(pickle.load(stream)["worker"])
        return {"filters": dict(state["filters"]), "state": dict(state["state"])}
    except Exception as error:  # whatever a pickle raises that is cut short, or none of RLlib's
        what = f"{file.name} is no checkpoint of RLlib's that can be read"
        raise UserError(f"channel {WEIGHTS}: {what}: {type(error).__name__}: {error}") from None


def policy_named(policy: str) -> str:
    """Return a policy in words, by its name where it has one."""
    return "single policy" if policy == ONE else f"policy {policy}"


def _fitting(policy: str, ours: Mapping[str, Any], theirs: Any, file: str) -> Dict[str, Any]:
    """Return of a policy's state what belongs to the network; raises UserError where it is another one."""
    given = dict(theirs or {})
    if ours and not given:
        raise UserError(f"channel {WEIGHTS}: {file}: has no {policy_named(policy)}, which this job trains")
    for name, value in ours.items():
        if name not in given:
            raise UserError(f"channel {WEIGHTS}: {file}: its network has no {name}, which this job's has")
        if given[name].shape != value.shape:
            shapes = f"of shape {list(given[name].shape)}, and this job's of {list(value.shape)}"
            raise UserError(f"channel {WEIGHTS}: {file}: its {name} is {shapes}: other spaces, or another network")
    return {name: given[name] for name in ours}
