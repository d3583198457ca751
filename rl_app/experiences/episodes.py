"""The episodes of a table: where each begins and ends, and what was seen, done and earned in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterator, Optional, Tuple

import numpy as np

from rl_app.experiences.tables import Table

Array = Any  # np.ndarray, which has no parameters on Python 3.8
Batch = Dict[str, Any]
"""A batch of RLlib's: columns by its own names, as lists."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are what, each as ``NAME,PATTERN*,…``; ``continuous`` is of the actions."""

    observation: str
    action: str
    reward: str
    done: str
    truncated: Optional[str] = None
    episode: Optional[str] = None
    next_observation: Optional[str] = None
    action_prob: Optional[str] = None
    continuous: bool = False


@dataclass(frozen=True)
class Transitions:
    """A table's rows as arrays: ``observations`` of shape (rows, size), all others with a row each."""

    observations: Array
    actions: Array
    rewards: Array
    dones: Array
    ends: Array
    next_observations: Optional[Array]
    action_probs: Optional[Array]

    def batches(self) -> Iterator[Batch]:
        """Yield the batch of each episode.

        Where an episode was cut off and nothing says what was seen then, its last step is left out: there would be
        no telling what it was worth.
        """
        starts = [0, *(np.flatnonzero(self.ends)[:-1] + 1)]
        for number, (start, end) in enumerate(zip(starts, np.flatnonzero(self.ends) + 1)):
            known = self.dones[end - 1] or self.next_observations is not None
            if end - start > (0 if known else 1):
                yield self._batch(number, slice(start, end if known else end - 1))

    def _batch(self, number: int, rows: slice) -> Batch:
        observations, actions, rewards = self.observations[rows], self.actions[rows], self.rewards[rows]
        columns = {
            "obs": observations,
            "new_obs": self._next(rows),
            "actions": actions,
            "rewards": rewards,
            "dones": self.dones[rows],
            "prev_actions": _before(actions),
            "prev_rewards": _before(rewards),
            "eps_id": np.full(len(rewards), number),
            "t": np.arange(len(rewards)),
        }
        if self.action_probs is not None:
            columns["action_prob"] = self.action_probs[rows]
            columns["action_logp"] = np.log(self.action_probs[rows])
        return {"type": "SampleBatch", **{name: column.tolist() for name, column in columns.items()}}

    def _next(self, rows: slice) -> Array:
        """Return what was seen after each step; after the last of an episode that is done nothing depends on it."""
        if self.next_observations is not None:
            return self.next_observations[rows]
        following = np.arange(rows.start, rows.stop) + 1
        if self.dones[rows.stop - 1]:
            following[-1] -= 1
        return self.observations[following]


def transitions(table: Table, columns: Columns) -> Transitions:
    """Read a table's transitions, and check them.

    Raises:
        UserError: a column is missing, something is no finite number, or an episode is in two pieces, with its row.
    """
    dones = _flags(table, columns.done, "--done")
    truncated = _flags(table, columns.truncated, "--truncated") if columns.truncated else np.zeros_like(dones)
    ends = _ends(table, columns.episode, dones, dones | truncated)
    probabilities = table.single(columns.action_prob, "--action-prob") if columns.action_prob else None
    if probabilities is not None and probabilities.min() <= 0:
        row = int(np.argmin(probabilities > 0))
        raise table.error(row, f"{columns.action_prob} = {probabilities[row]:g}: expected more than 0")
    observations = table.numbers(columns.observation, "--observation")
    following = None
    if columns.next_observation:
        following = table.numbers(columns.next_observation, "--next-observation")
        if following.shape != observations.shape:
            widths = f"{following.shape[1]} numbers, and --observation {observations.shape[1]}"
            raise table.error(0, f"--next-observation {columns.next_observation}: {widths}")
    return Transitions(
        observations=observations,
        actions=_actions(table, columns),
        rewards=table.single(columns.reward, "--reward"),
        dones=dones,
        ends=ends,
        next_observations=following,
        action_probs=probabilities,
    )


def _actions(table: Table, columns: Columns) -> Array:
    """Return one column of whole numbers as the choices of a Discrete space, all else as the numbers of a Box."""
    numbers = table.numbers(columns.action, "--action")
    if numbers.shape[1] > 1 or columns.continuous or (numbers % 1).any():
        return numbers
    return numbers[:, 0].astype(np.int64)


def _flags(table: Table, column: str, flag: str) -> Array:
    numbers = table.single(column, flag)
    wrong = np.flatnonzero((numbers != 0) & (numbers != 1))
    if len(wrong):
        raise table.error(int(wrong[0]), f"{column} = {numbers[wrong[0]]:g}: expected 0, 1, true or false")
    return numbers.astype(bool)


def _ends(table: Table, episode: Optional[str], dones: Array, ends: Array) -> Array:
    """Say of each row whether it is the last of its episode; the table's last row is, whatever it says."""
    ends = ends.copy()
    ends[-1] = True
    if episode is None:
        return ends
    (name,) = table.names(episode, "--episode")[:1]
    identities = table.columns[name].reshape(len(dones), -1)[:, 0]
    changes = np.append(identities[1:] != identities[:-1], True)
    early = np.flatnonzero(ends & ~changes)
    if len(early):
        what = f"episode {identities[early[0]]} goes on after its end in row {table.first + int(early[0])}"
        raise table.error(int(early[0]) + 1, what)
    seen: Dict[Any, Tuple[int, int]] = {}
    start = 0
    for end in np.flatnonzero(changes):
        before = seen.setdefault(identities[start], (start, int(end)))
        if before[0] != start:
            rows = f"rows {table.first + before[0]} to {table.first + before[1]}"
            raise table.error(start, f"episode {identities[start]} was in {rows} before: its rows have to be together")
        start = int(end) + 1
    return changes


def _before(column: Array) -> Array:
    return np.concatenate([np.zeros_like(column[:1]), column[:-1]])
