"""What the environments did, as columns of all of them: time first, then the environment."""

from __future__ import annotations

from typing import Any, Dict, Mapping

import numpy as np

Array = Any  # np.ndarray, which has no parameters on Python 3.8


class Columns:
    """Columns that grow as rows are added; each row holds a value for every environment."""

    def __init__(self, capacity: int) -> None:
        self._capacity = max(capacity, 1)
        self._arrays: Dict[str, Array] = {}
        self._taken: Dict[str, Any] = {}  # the type of the values that each has taken last
        self.length = 0

    def append(self, row: Mapping[str, Array]) -> None:
        """Add a row, which is copied."""
        if self.length == self._capacity:
            self._grow()
        for name, values in row.items():
            if self._taken.get(name) is not values.dtype:
                self._take(name, values)
            self._arrays[name][self.length] = values
        self.length += 1

    def flat(self) -> Dict[str, Array]:
        """Return all rows with the environment first: what the first did from start to end, then the second, …"""
        return {name: flattened(array[: self.length]) for name, array in self._arrays.items()}

    def of(self, index: int, start: int) -> Dict[str, Array]:
        """Return what one environment did from the row ``start`` on."""
        return {name: array[start : self.length, index].copy() for name, array in self._arrays.items()}

    def forget(self, rows: int) -> None:
        """Drop the first rows."""
        for array in self._arrays.values():
            array[: self.length - rows] = array[rows : self.length].copy()
        self.length -= rows

    @property
    def full(self) -> bool:
        """Whether the next row would make the columns grow."""
        return self.length == self._capacity

    def _grow(self) -> None:
        self._capacity *= 2
        for name, array in self._arrays.items():
            self._arrays[name] = np.concatenate([array, np.empty_like(array)])

    def _take(self, name: str, values: Array) -> None:
        """Have a column that holds values of this type."""
        array = self._arrays.get(name)
        if array is None or not np.can_cast(values.dtype, array.dtype, "same_kind"):
            self._arrays[name] = self._widened(name, values)
        self._taken[name] = values.dtype

    def _widened(self, name: str, values: Array) -> Array:
        """Return the column in a type that holds these values too, and in single precision, as RLlib has it."""
        before = self._arrays.get(name)
        dtype = values.dtype if before is None else np.result_type(before.dtype, values.dtype)
        widened = np.empty((self._capacity, *values.shape), np.float32 if dtype == np.float64 else dtype)
        if before is not None:
            widened[: self.length] = before[: self.length]
        return widened


def flattened(array: Array) -> Array:
    """Return ``[time, environment, …]`` as ``[environment * time, …]``, always a copy: the array is used again."""
    return np.array(np.swapaxes(array, 0, 1), order="C").reshape((-1, *array.shape[2:]))
