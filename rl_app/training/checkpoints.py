"""Checkpoints in Tune's layout: ``checkpoint_N/checkpoint-N`` with ``.tune_metadata``, whole or not there."""

from __future__ import annotations

import logging
import os
import re
import shutil
from pathlib import Path
from typing import Any, Callable, List, NamedTuple, Optional

from rl_app.errors import JobError, UserError, reason_of
from rl_app.files import TEMPORARY, scratch_folder
from rl_app.policy import soundness
from rl_app.training import adaptive, replay

logger = logging.getLogger(__name__)


class Checkpoint(NamedTuple):
    iteration: int
    directory: Path

    @property
    def path(self) -> Path:
        """What ``Trainer.restore`` takes."""
        return self.directory / f"checkpoint-{self.iteration}"


def kept(directory: Path) -> List[Checkpoint]:
    """Return the checkpoints below ``directory`` whose two files are there, oldest first."""
    found = []
    for entry in directory.glob("checkpoint_*"):
        match = re.fullmatch(r"checkpoint_(\d+)", entry.name)
        if match:
            found.append(Checkpoint(int(match.group(1)), entry))
    return sorted(
        checkpoint
        for checkpoint in found
        if checkpoint.path.exists() and Path(f"{checkpoint.path}.tune_metadata").exists()
    )


def save(trainer: Any, directory: Path, replay_bytes: int = 0) -> Checkpoint:
    """Save the trainer's state beside, then rename it into place; an iteration saved before is left as it is.

    Args:
        replay_bytes: the largest replay buffer that is kept with it.

    Raises:
        JobError: its weights are no longer finite numbers, of which nothing can be made.
    """
    is_agent = hasattr(trainer, "get_policy")  # any of Tune's Trainables can be saved
    if is_agent:
        trainer.workers.local_worker().foreach_policy(
            lambda policy, _: soundness.check_weights(policy, trainer.iteration)
        )
    target = Checkpoint(trainer.iteration, directory / f"checkpoint_{trainer.iteration}")
    if target not in kept(directory):
        with scratch_folder(directory / f"{TEMPORARY}checkpoint") as beside:
            trainer.save(str(beside))
            if is_agent:
                in_the_making = beside / target.directory.name / target.path.name
                adaptive.save(trainer, in_the_making)
                replay.save(trainer, in_the_making, replay_bytes)
            shutil.rmtree(target.directory, ignore_errors=True)
            os.replace(beside / target.directory.name, target.directory)
    return target


def prune(directory: Path, keep: Optional[int], reward_of: Callable[[int], float]) -> None:
    """Delete all but the ``keep`` newest (None: keeps all) and the best."""
    found = kept(directory)
    if keep is None or not found:
        return
    spared = {*found[-keep:], best(directory, reward_of)}
    for checkpoint in found:
        if checkpoint not in spared:
            shutil.rmtree(checkpoint.directory)


def best(directory: Path, reward_of: Callable[[int], float]) -> Checkpoint:
    """Return the checkpoint with the highest mean reward; of equals, the newest."""
    return max(kept(directory), key=lambda checkpoint: (reward_of(checkpoint.iteration), checkpoint.iteration))


def restore_newest(trainer: Any, directory: Path, say: Callable[[str], None]) -> Optional[Checkpoint]:
    """Restore the newest checkpoint that can be read; None where there is none at all.

    A checkpoint is a pickle, and comes from this job's own checkpoint directory. One that cannot be read is set
    aside, for the one before it, which ``say`` is told.

    Raises:
        UserError: the checkpoints are of another algorithm or environment.
        JobError: checkpoints are there and none can be read.
    """
    found = kept(directory)
    restored = next((each for each in reversed(found) if _restored(trainer, each, say)), None)
    if found and restored is None:
        raise JobError(f"none of the {len(found)} checkpoints in {directory} can be read; each is set aside there")
    return restored


def restore_best(
    trainer: Any, directory: Path, reward_of: Callable[[int], float], say: Callable[[str], None]
) -> Checkpoint:
    """Have the trainer be that of the best checkpoint that can be read; the others are set aside.

    Raises:
        JobError: none can be read.
    """
    while kept(directory):
        checkpoint = best(directory, reward_of)
        if checkpoint.iteration == trainer.iteration or _restored(trainer, checkpoint, say):
            return checkpoint
    raise JobError(f"no checkpoint in {directory} can be read: there is nothing to export")


def _restored(trainer: Any, checkpoint: Checkpoint, say: Callable[[str], None]) -> bool:
    """Return whether the checkpoint could be read; else it is set aside under a name that says so."""
    has_adapted = adaptive.file_beside(checkpoint.path).exists()
    try:
        if has_adapted:
            adaptive.check(trainer, checkpoint.path)
        trainer.restore(str(checkpoint.path))
        if has_adapted:
            lost = adaptive.restore(trainer, checkpoint.path)
            if lost:
                say(lost)
            replay.restore(trainer, checkpoint.path)
        return True
    except UserError:
        raise
    except Exception as error:
        logger.warning("%s cannot be read", checkpoint.path, exc_info=True)
        aside = set_aside(checkpoint)
        say(f"{checkpoint.directory.name} cannot be read ({reason_of(error)}): it is now {aside.name}, and not used")
        return False


def set_aside(checkpoint: Checkpoint) -> Path:
    """Rename the checkpoint so that it is none of those that are kept; return what it is now."""
    target = checkpoint.directory.with_name(f"unreadable-{checkpoint.directory.name}")
    shutil.rmtree(target, ignore_errors=True)
    os.replace(checkpoint.directory, target)
    return target
