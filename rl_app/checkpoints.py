"""Checkpoints in Tune's layout: ``checkpoint_N/checkpoint-N`` with ``.tune_metadata``, whole or not there."""

from __future__ import annotations

import logging
import os
import re
import shutil
from pathlib import Path
from typing import Any, Callable, List, NamedTuple, Optional

logger = logging.getLogger(__name__)


class Checkpoint(NamedTuple):
    iteration: int
    directory: Path

    @property
    def path(self) -> Path:
        """What ``Trainer.restore`` takes."""
        return self.directory / f"checkpoint-{self.iteration}"


def kept(directory: Path) -> List[Checkpoint]:
    """The checkpoints below ``directory`` whose two files are there, oldest first."""
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


def save(trainer: Any, directory: Path) -> Checkpoint:
    """Saves the trainer's state beside, then renames it into place; an iteration saved before is left as it is."""
    target = Checkpoint(trainer.iteration, directory / f"checkpoint_{trainer.iteration}")
    if target not in kept(directory):
        beside = directory / ".tmp-checkpoint"
        shutil.rmtree(beside, ignore_errors=True)
        trainer.save(str(beside))
        shutil.rmtree(target.directory, ignore_errors=True)
        os.replace(beside / target.directory.name, target.directory)
        shutil.rmtree(beside)
    return target


def prune(directory: Path, keep: Optional[int], reward_of: Callable[[int], float]) -> None:
    """Deletes all but the ``keep`` newest (None: keeps all) and the best."""
    found = kept(directory)
    if keep is None or not found:
        return
    spared = {*found[-keep:], best(directory, reward_of)}
    for checkpoint in found:
        if checkpoint not in spared:
            shutil.rmtree(checkpoint.directory)


def best(directory: Path, reward_of: Callable[[int], float]) -> Checkpoint:
    """The checkpoint with the highest mean reward; of equals, the newest."""
    return max(kept(directory), key=lambda checkpoint: (reward_of(checkpoint.iteration), checkpoint.iteration))


def restore_newest(trainer: Any, directory: Path) -> Optional[Checkpoint]:
    """Restores the newest checkpoint that can be read; None where there is none at all.

    A checkpoint is a pickle, and comes from this job's own checkpoint directory. One that was cut short is
    passed over with a warning, for the one before it.

    Raises:
        RuntimeError: checkpoints are there and none can be read.
    """
    found = kept(directory)
    for checkpoint in reversed(found):
        try:
            trainer.restore(str(checkpoint.path))
            return checkpoint
        except Exception as error:
            logger.warning("%s cannot be restored: %s: %s", checkpoint.path, type(error).__name__, error)
    if found:
        raise RuntimeError(f"none of the {len(found)} checkpoints in {directory} can be restored")
    return None
