"""Input channels of the user's own: read from words, found, and brought to where SageMaker brings them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Mapping, Optional, Sequence

from rl_app.errors import UserError
from rl_app.job.sagemaker import CHANNEL_NAME, CODE, DRIVERS, MODEL, WEIGHTS
from rl_app.storage.base import Store
from rl_app.storage.job_record import Record
from rl_app.storage.opening import open_store

RESERVED = {
    MODEL: "the model that is evaluated",
    WEIGHTS: "what --from names",
    CODE: "what --source and --program name",
    DRIVERS: "SageMaker's own",
}
"""The channels that a job has by itself, and what lies in them."""


@dataclass(frozen=True)
class Data:
    """What lies in a channel: the files ``keys`` of ``store``, by their paths in the channel."""

    uri: str
    store: Store
    keys: Sequence[str]

    @property
    def top(self) -> List[str]:
        """The names of the files at the top."""
        return [key for key in self.keys if "/" not in key]

    def fetch(self, directory: Path) -> None:
        """Bring it here, as SageMaker brings the files below a prefix of S3."""
        for key in self.keys:
            self.store.download(key, directory / key)


def parse(words: Iterable[str]) -> Dict[str, str]:
    """Return the place of each channel of the words NAME=PLACE; raises UserError."""
    places: Dict[str, str] = {}
    for word in words:
        name, _, place = word.partition("=")
        if not place:
            raise UserError(f"--channel {word}: expected NAME=DIR or NAME=s3://BUCKET/PREFIX")
        if not CHANNEL_NAME.fullmatch(name):
            raise UserError(f"--channel {word}: the name has 1 to 64 letters, digits, dots, hyphens, underscores")
        if name in RESERVED:
            raise UserError(f"--channel {word}: the channel {name} is taken, by {RESERVED[name]}; take another name")
        if name in places:
            raise UserError(f"--channel {word}: given twice, before as {places[name]}")
        places[name] = place if "://" in place else os.path.expanduser(place)
    return places


def words(places: Mapping[str, str]) -> List[str]:
    """Return the words of a command line that :func:`parse` reads, with their flag."""
    return [word for name, place in places.items() for word in ("--channel", f"{name}={place}")]


def check(places: Mapping[str, str]) -> None:
    """Raise UserError for a place that is neither of S3 nor a directory of this machine with files in it."""
    for name, place in places.items():
        if place.startswith("s3://"):
            continue
        if "://" in place:
            raise UserError(f"{_typed(name, place)}: must be a directory or s3://BUCKET/PREFIX")
        if not Path(place).is_dir():
            raise UserError(f"{_typed(name, place)}: there is no such directory")
        _refuse_empty(_typed(name, place), list(_files_below(Path(place))))


def listed(places: Mapping[str, str]) -> Dict[str, Optional[List[str]]]:
    """List the names at the top of each channel; None for those that are not on this machine."""
    return {name: None if "://" in place else os.listdir(place) for name, place in places.items()}


def located(places: Mapping[str, str], environ: Mapping[str, str]) -> Dict[str, Data]:
    """Find what lies in each channel; raises UserError for what is not there, or holds no files."""
    return {name: _locate(place, _typed(name, place), environ) for name, place in places.items()}


def of_earlier(record: Record, given: Mapping[str, str]) -> Mapping[str, str]:
    """Return where the channels of a job lie that goes on, those that are given now before those of its record.

    Raises:
        UserError: a directory that it had is not here.
    """
    had = {name: uri for name, uri in _recorded(record) if name not in RESERVED and name not in given}
    for name, uri in had.items():
        if "://" not in uri and not Path(uri).is_dir():
            missing = f"its channel {name} was {uri}, which is not here"
            raise UserError(f"--resume {record['TrainingJobName']}: {missing}: --channel {name}=DIR gives it")
    return {**had, **given}


def _recorded(record: Record) -> Iterator[Sequence[str]]:
    for each in record.get("InputDataConfig", []):
        yield each["ChannelName"], each["DataSource"]["S3DataSource"]["S3Uri"]


def _locate(place: str, typed: str, environ: Mapping[str, str]) -> Data:
    if "://" in place:
        url = place.rstrip("/")
        store = open_store(url, environ, make=False)
        keys = [entry.key for entry in store.list("")]
    else:
        directory = Path(place).resolve()
        url, store = str(directory), open_store(str(directory), environ, make=False)
        keys = [path.relative_to(directory).as_posix() for path in _files_below(directory)]
    _refuse_empty(typed, keys)
    return Data(url, store, keys)


def _files_below(directory: Path, within: Sequence[Path] = ()) -> Iterator[Path]:
    """Yield the files of a directory, all the way down, and those that its links lead to.

    Args:
        within: the folders that it lies in.

    Raises:
        UserError: a link leads nowhere, or to a folder that it lies in; a folder cannot be read.
    """
    real = directory.resolve()
    if real in within:
        raise UserError(f"{directory}: a link to a folder that it lies in: remove it")
    try:
        paths = sorted(directory.iterdir())
    except OSError as error:
        raise UserError(f"{directory}: {error.strerror}") from None
    for path in paths:
        if path.is_dir():
            yield from _files_below(path, (*within, real))
        elif path.is_file():
            yield path
        elif path.is_symlink():
            raise UserError(f"{path}: a link to {os.readlink(path)}, which is not there where the job runs")


def _refuse_empty(typed: str, found: Sequence[object]) -> None:
    if not found:
        raise UserError(f"{typed}: there are no files in it")


def _typed(name: str, place: str) -> str:
    return f"--channel {name}={place}"
