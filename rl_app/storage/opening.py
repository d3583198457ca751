"""Opens a store by its URL."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Mapping, Optional
from urllib.parse import unquote

from rl_app.errors import UserError
from rl_app.storage.base import Store, checked
from rl_app.storage.directory import open_directory
from rl_app.storage.s3 import check_bucket, open_bucket


def open_store(url: str, environ: Mapping[str, str] = os.environ, make: bool = True) -> Store:
    """Open ``s3://BUCKET[/PREFIX]`` or a directory (a path or a file:// URL).

    A bucket is asked for, and made where it is missing; a directory is made by the first write. Without ``make``
    the store is to be read: one that is missing is refused.

    Raises:
        UserError: not a URL of a store; unreachable; refused the credentials; missing, without ``make``.
    """
    directory = directory_of(url)
    if directory:
        return open_directory(directory, make)
    scheme, _, rest = url.partition("://")
    if scheme != "s3":
        raise UserError(f"store {url}: must be s3://BUCKET[/PREFIX] or a directory")
    bucket, _, prefix = rest.partition("/")
    check_bucket(bucket, f"store {url}")
    return open_bucket(bucket, checked(prefix.rstrip("/")) if prefix else "", environ, make)


def directory_of(url: str) -> Optional[Path]:
    """Return the directory that a store's URL names; None where it is of another kind, or empty."""
    scheme, separator, rest = url.partition("://")
    if not url or (separator and scheme != "file"):
        return None
    return Path(unquote(rest) if separator else url).expanduser().absolute()


def fetch(url: str, file: Path) -> None:
    """Download one object of S3; raises UserError where there is none."""
    folder, _, name = url.rpartition("/")
    try:
        open_store(folder).download(name, file)
    except FileNotFoundError:
        raise UserError(f"{url}: there is no such file") from None
