"""The replay buffers of DQN, SAC and their kind, kept beside a checkpoint where they are not too large.

RLlib 0.8.5 begins with empty ones after a restore: DQN then counts its `learning_starts` anew and learns nothing until
then, SAC learns from a handful of steps, again and again. Kept are arrays: reading them runs no code.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional

import numpy as np

COLUMNS = ("obs", "actions", "rewards", "new_obs", "dones")
STATE = ("_next_idx", "_num_added", "_num_sampled", "_eviction_started", "_est_size_bytes")
PRIORITIES, HIGHEST, COUNTED = "priorities", "_max_priority", "num_added"
FILE_ENDING = ".replay.npz"


@contextmanager
def within_reach() -> Iterator[List[Any]]:
    """Yield what holds the buffers that DQN's execution plan makes in the block, and keeps to itself."""
    from ray.rllib.agents.dqn import dqn

    own, made = dqn.LocalReplayBuffer, []

    def make(*arguments: Any, **named: Any) -> Any:
        made.append(own(*arguments, **named))
        return made[-1]

    dqn.LocalReplayBuffer = make
    try:
        yield made
    finally:
        dqn.LocalReplayBuffer = own


def file_beside(checkpoint: Path) -> Path:
    """Name the file that belongs to a checkpoint."""
    return checkpoint.with_name(f"{checkpoint.name}{FILE_ENDING}")


def steps(trainer: Any) -> int:
    """Count the steps that are in the trainer's buffers."""
    return sum(map(len, _buffers(trainer).values()))


def save(trainer: Any, checkpoint: Path, most_bytes: int) -> None:
    """Write the buffers beside the checkpoint, where they take at most so many bytes."""
    buffers = _buffers(trainer)
    if not steps(trainer) or sum(map(_bytes, buffers.values())) > most_bytes:
        return
    arrays = {f"{policy}/{name}": array for policy, each in buffers.items() for name, array in _arrays(each).items()}
    if any(array.dtype.hasobject for array in arrays.values()):  # which only a pickle keeps
        return
    with open(file_beside(checkpoint), "wb") as file:
        np.savez(file, **arrays)


def restore(trainer: Any, checkpoint: Path) -> None:
    """Fill the buffers with what lies beside the checkpoint, where something does.

    Raises:
        ValueError: the file cannot be read, or is of buffers of another kind.
    """
    holder = _holder(trainer)
    if holder is None or not file_beside(checkpoint).exists():
        return
    with np.load(str(file_beside(checkpoint)), allow_pickle=False) as kept:
        for policy in {name.rpartition("/")[0] for name in kept}:
            prefix = f"{policy}/"
            own = {name[len(prefix) :]: kept[name] for name in kept if name.startswith(prefix)}
            buffer = holder.replay_buffers[policy]  # which makes it
            if (PRIORITIES in own) != hasattr(buffer, HIGHEST):
                raise ValueError("the replay buffer has priorities, or has none, where it was the other way round")
            if len(own["rewards"]) <= buffer._maxsize:  # else a smaller one was asked for, which begins empty
                _fill(buffer, own)
    if hasattr(holder, COUNTED):  # by which it is told when learning starts
        setattr(holder, COUNTED, sum(each._num_added for each in holder.replay_buffers.values()))


def _holder(trainer: Any) -> Optional[Any]:
    """Return what holds the buffers; those of other processes, and of batches, are out of reach."""
    holders = [*getattr(trainer, "local_replay", []), getattr(trainer, "optimizer", None)]
    return next((each for each in holders if isinstance(getattr(each, "replay_buffers", None), dict)), None)


def _buffers(trainer: Any) -> Mapping[str, Any]:
    """Return the buffers by policy."""
    return getattr(_holder(trainer), "replay_buffers", {})


def _bytes(buffer: Any) -> int:
    first: List[Any] = [_unpacked(value) for value in buffer._storage[0]] if len(buffer) else []
    return len(buffer) * sum(np.asarray(value).nbytes for value in first)


def _unpacked(value: Any) -> Any:
    from ray.rllib.utils.compression import unpack_if_needed

    return unpack_if_needed(value)


def _arrays(buffer: Any) -> Dict[str, Any]:
    columns = ([_unpacked(value) for value in column] for column in zip(*buffer._storage))
    arrays = {name: np.array(column) for name, column in zip(COLUMNS, columns)}
    arrays.update((name, np.array(getattr(buffer, name))) for name in STATE)
    if hasattr(buffer, HIGHEST):
        leaves = buffer._it_sum.value[buffer._it_sum.capacity :][: len(buffer)]
        arrays.update({PRIORITIES: np.array(leaves, np.float64), HIGHEST: np.array(buffer._max_priority)})
    return arrays


def _fill(buffer: Any, kept: Mapping[str, Any]) -> None:
    from ray.rllib.utils.compression import pack_if_needed

    observations = ([pack_if_needed(each) for each in kept[name]] for name in ("obs", "new_obs"))
    packed = {**kept, **dict(zip(("obs", "new_obs"), observations))}
    buffer._storage = list(zip(*(packed[name] for name in COLUMNS)))
    for name in STATE:
        setattr(buffer, name, kept[name].item())
    buffer._next_idx %= buffer._maxsize  # it may be as small now as what it holds
    if PRIORITIES in kept:
        buffer._max_priority = kept[HIGHEST].item()
        _set_leaves(buffer._it_sum, kept[PRIORITIES], np.add)
        _set_leaves(buffer._it_min, kept[PRIORITIES], np.minimum)


def _set_leaves(tree: Any, leaves: Any, operation: Any) -> None:
    """Set all values of one of RLlib's segment trees at once: one by one takes minutes for a million."""
    level = np.full(tree.capacity, tree.neutral_element)
    level[: len(leaves)] = leaves
    levels = [level]
    while len(level) > 1:
        level = operation(level[0::2], level[1::2])
        levels.append(level)
    tree.value = [tree.neutral_element, *np.concatenate(levels[::-1]).tolist()]
