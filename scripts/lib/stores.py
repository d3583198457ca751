"""The stores that this machine knows: `runs/`, where processes keep their jobs, and docker-compose.yml's MinIO."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import List, Mapping, NamedTuple, Optional

from rl_app.errors import UserError
from rl_app.storage.base import Store
from rl_app.storage.directory import DirectoryStore
from rl_app.storage.opening import directory_of, open_store
from scripts.lib import compose, dotenv, environments
from scripts.lib.compose import COMPOSE
from scripts.lib.environments import ROOT
from scripts.lib.wording import short_path


class NamedStore(NamedTuple):
    """A store under the name that --store takes for it."""

    name: str
    store: Store


class NamedStores(NamedTuple):
    """The stores that answer, and a line for each that does not."""

    open: List[NamedStore]
    left_out: List[str]

    @property
    def names(self) -> str:
        """The names of those that answer, as a sentence has them."""
        return " or ".join(store.name for store in self.open)


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where a script looks for jobs; without any, in all stores of this machine."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--store", metavar="URL", help="s3://BUCKET[/PREFIX], a directory, or compose")
    where.add_argument("--cloud", action="store_true", help="SageMaker's jobs")


def open_all(url: Optional[str] = None, environ: Mapping[str, str] = os.environ, root: Path = ROOT) -> NamedStores:
    """Open the store ``url``, or all that this machine knows; start the script again where boto3 is wanted.

    Args:
        url: s3://BUCKET[/PREFIX] with AWS's own settings, a directory, or :data:`COMPOSE`.

    Raises:
        UserError: the store of ``url`` is missing, unreachable, or refuses.
    """
    settings = dotenv.settings(environ, root)
    if url == COMPOSE:
        away = compose.why_away(settings)
        if away:
            raise UserError(f"--store {url}: {away}")
        return NamedStores([open_compose(settings)], [])
    if url:
        if url.startswith("s3://"):
            environments.become_host()
        store = open_store(url, environ, make=False)
        return NamedStores(
            [NamedStore(short_path(store.root) if isinstance(store, DirectoryStore) else url, store)], []
        )
    found = [open_runs(settings, root)]
    away = compose.why_away(settings)
    if away:
        return NamedStores(found, [f"compose store left out: {away}"])
    try:
        return NamedStores([*found, open_compose(settings)], [])
    except UserError as error:
        return NamedStores(found, [f"compose store left out: {error}"])


def open_runs(settings: Mapping[str, str], root: Path = ROOT) -> NamedStore:
    """Open the directory of the process mode's jobs, which may not be there yet."""
    runs = directory_of(settings.get("STORE", "")) or root / "runs"
    return NamedStore(short_path(runs), DirectoryStore(runs))


def open_compose(settings: Mapping[str, str]) -> NamedStore:
    """Open the bucket of docker-compose.yml, in the environment that has boto3; raises UserError."""
    environments.become_host()
    return NamedStore(COMPOSE, open_store(compose.store_url(settings), compose.environ_of(settings)))
