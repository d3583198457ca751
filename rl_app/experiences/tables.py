"""Tables of transitions, a row each: CSV files, and .npz files of arrays in the manner of D4RL."""

from __future__ import annotations

import csv
import zipfile
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Mapping

import numpy as np

from rl_app.errors import UserError

Array = Any  # np.ndarray, which has no parameters on Python 3.8
TRUTHS = {"true": "1", "false": "0"}


@dataclass(frozen=True)
class Table:
    """A file's columns, of as many rows each: text in a CSV, numbers of any shape in an .npz.

    ``first`` is the number of the first row as people count them: a CSV's header is row 1.
    """

    file: Path
    columns: Mapping[str, Array]
    first: int

    @property
    def rows(self) -> int:
        """How many there are."""
        return min(map(len, self.columns.values()), default=0)

    def names(self, wanted: str, flag: str) -> List[str]:
        """Return the columns that ``NAME,PATTERN*,…`` means, those of a pattern as they stand in the file.

        Raises:
            UserError: one of them means none.
        """
        found: List[str] = []
        for pattern in wanted.split(","):
            # A name is meant first, for in a pattern the brackets of obs[0] would be a choice of letters
            meant = [pattern] if pattern in self.columns else [name for name in self.columns if fnmatch(name, pattern)]
            if not meant:
                raise UserError(f"{flag} {pattern}: no such column in {self.file}, which has {', '.join(self.columns)}")
            found += meant
        return list(dict.fromkeys(found))

    def numbers(self, wanted: str, flag: str) -> Array:
        """Return the columns side by side, of shape (rows, width); raises UserError for what is no finite number."""
        return np.concatenate([self._flat(name) for name in self.names(wanted, flag)], axis=1)

    def single(self, wanted: str, flag: str) -> Array:
        """Return one column of numbers, of shape (rows,); raises UserError where it is none, or several."""
        found = self.numbers(wanted, flag)
        if found.shape[1] != 1:
            raise UserError(f"{flag} {wanted}: expected one column, and these are {found.shape[1]}")
        column: Array = found[:, 0]
        return column

    def error(self, row: int, what: str) -> UserError:
        """Make the error of a row, counted from 0."""
        return UserError(f"{self.file}, row {self.first + row}: {what}")

    def _flat(self, name: str) -> Array:
        column = self.columns[name]
        try:
            numbers = column.astype(np.float64)
        except ValueError:
            row = next(row for row, text in enumerate(column) if not _is_number(text))
            raise self.error(row, f'{name} = "{column[row]}": expected a number') from None
        flat = numbers.reshape(len(numbers), -1)
        bad = np.argwhere(~np.isfinite(flat))
        if len(bad):
            row, part = bad[0]
            raise self.error(int(row), f"{name} = {flat[row, part]}: expected a finite number")
        return flat


def read(file: Path) -> Table:
    """Read a .csv or .npz file.

    Raises:
        UserError: it is none, cannot be read, has no rows, or rows of different lengths.
    """
    readers = {".csv": _read_csv, ".npz": _read_npz}
    if file.suffix.lower() not in readers:
        raise UserError(f"{file}: a table is a .csv or an .npz file; pandas makes a .csv of others")
    try:
        table = readers[file.suffix.lower()](file)
    except (OSError, UnicodeDecodeError, csv.Error, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not table.rows:
        raise UserError(f"{file}: there are no rows in it")
    return table


def _read_csv(file: Path) -> Table:
    with file.open(newline="", encoding="utf-8-sig") as stream:
        lines = csv.reader(stream)
        header = [name.strip() for name in next(lines, [])]
        _check_separator(file, header)
        rows: List[List[str]] = []
        for line in _without_empty_end(lines):
            if len(line) != len(header):
                row = len(rows) + 2
                raise UserError(f"{file}, row {row}: {len(line)} values, and the header has {len(header)}")
            rows.append([TRUTHS.get(text.strip().lower(), text.strip()) for text in line])
    if len(set(header)) != len(header):
        raise UserError(f"{file}, row 1: two columns have one name")
    return Table(file, {name: np.array(column) for name, column in zip(header, zip(*rows))}, first=2)


def _check_separator(file: Path, header: List[str]) -> None:
    other = next((each for each in (";", "\t") if len(header) == 1 and each in header[0]), None)
    if other:
        pandas = f"pandas.read_csv(…, sep={other!r}).to_csv(…, index=False) makes them so"
        raise UserError(f"{file}, row 1: {other!r} stands between the columns, and a comma is expected: {pandas}")


def _without_empty_end(lines: Iterable[List[str]]) -> Iterator[List[str]]:
    """Yield lines up to the last that has a value: an editor leaves empty ones after it, a spreadsheet lone commas."""
    empty: List[List[str]] = []
    for line in lines:
        empty.append(line)
        if any(map(str.strip, line)):
            yield from empty
            empty.clear()


def _read_npz(file: Path) -> Table:
    with np.load(file, allow_pickle=False) as arrays:
        columns: Dict[str, Array] = {name: arrays[name] for name in arrays.files if arrays[name].ndim}
    lengths = {
        name: len(column) for name, column in columns.items() if "/" not in name
    }  # D4RL's metadata/… has no rows
    if len(set(lengths.values())) > 1:
        raise UserError(f"{file}: arrays of different lengths: {', '.join(f'{k} {n}' for k, n in lengths.items())}")
    return Table(file, {name: columns[name] for name in lengths}, first=0)


def _is_number(text: Any) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
