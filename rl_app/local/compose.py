"""What is done for a container that docker-compose.yml has started."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Mapping

from rl_app.errors import UserError
from rl_app.job.sagemaker import Paths
from rl_app.storage.base import Store
from rl_app.storage.directory import DirectoryStore

OPT_ML = Path("/opt/ml")


def check_store(store: Store, environ: Mapping[str, str]) -> None:
    """Raise UserError for a directory of a container that is removed with all that is in it."""
    if not (environ.get("RL_WORK_VOLUME") and isinstance(store, DirectoryStore)):
        return
    if not any(os.path.ismount(folder) for folder in (store.root, *list(store.root.parents)[:-1])):
        needed = "STORE, which `.env` may set too, has to be s3://BUCKET[/PREFIX] here"
        raise UserError(f"store {store.url}: a directory of this container, which goes with it; {needed}")


def link_opt_ml(paths: Paths, environ: Mapping[str, str]) -> None:
    """Have /opt/ml lead to the job's directory in the volume, for programs that know no other name."""
    if not environ.get("RL_WORK_VOLUME"):
        return
    with suppress(OSError):  # something of the user's is mounted there; the environment says where the job is
        OPT_ML.unlink() if OPT_ML.is_symlink() else OPT_ML.rmdir()
        OPT_ML.symlink_to(paths.base)


def say_way_down(environ: Mapping[str, str]) -> None:
    """Say how all of the stack is taken down, where there is one: a plain `down` leaves servers running."""
    if environ.get("COMPOSE_DOWN"):
        with suppress(OSError):  # a terminal that was closed is no reason to end
            print(f"to take everything down: {environ['COMPOSE_DOWN']}", file=sys.stderr, flush=True)
