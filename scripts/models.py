"""Where a model is that is given as a job, a URL or a path, and so where it is used."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from rl_app.errors import UserError
from scripts import engine, environments, stores


def is_path(model: str) -> bool:
    """Whether a word means a file or directory of this machine, not a job or a URL."""
    return "://" not in model and (os.path.exists(model) or "/" in model or model.endswith(".gz"))


def choose(wanted: Optional[str], store: Optional[str], names: Sequence[str], doing: str) -> str:
    """The engine to run on, which it says, and why.

    Args:
        wanted: the engine that is asked for, if any.
        store: the URL or directory that is given, if any.
        names: the models; the newest job's where there are none.
        doing: what is done with them, in a word.

    Raises:
        UserError: the engine cannot be had, or there is no such job.
    """
    folder = store and "://" not in store
    if wanted == "docker" and folder:
        raise UserError(f"--engine docker: --store {store} is a directory of this machine")
    made_in = wanted or ("process" if folder else None if store else where(names))
    reason = None if made_in == "process" else engine.why_not()
    if made_in == "docker" and reason:
        raise UserError(f"the model is in the MinIO of docker-compose.yml: {reason}")
    kind = made_in or ("process" if reason else "docker")
    if not wanted:
        how = "a process" if kind == "process" else "Docker"
        print(f"{doing} in {how}{f': {reason}' if reason else ''}", file=sys.stderr, flush=True)
    return kind


def where(names: Sequence[str], root: Path = environments.ROOT) -> Optional[str]:
    """The engine in whose store the jobs are, or the newest job of all; None where no job tells.

    Raises:
        UserError: there is no such job, or they are in different stores.
    """
    jobs = [name for name in names if "://" not in name and not is_path(name)]
    if names and not jobs:
        return None
    runs = stores.open_runs(os.environ, root)
    if jobs and all(stores.look_up(name, runs) for name in jobs):
        return "process"  # without asking MinIO, for which boto3 may have to be installed first
    found = [stores.find(name, root=root) for name in jobs] if jobs else newest(root)
    places: Dict[str, str] = {job.place.name: job.name for job in found}
    if len(places) > 1:
        told = " and ".join(f"{name} in {place}" for place, name in places.items())
        raise UserError(f"{told}: models of different stores are compared from their files, which scripts/fetch gets")
    return None if not places else "docker" if stores.COMPOSE in places else "process"


def newest(root: Path) -> List[stores.Job]:
    """The newest job with a model in any store of this machine, if there is one."""
    trained = [job for place in stores.open_places(root=root).open for job in stores.jobs(place) if has_model(job)]
    return sorted(trained, key=stores.began)[-1:]


def has_model(job: stores.Job) -> bool:
    """Whether it is a completed training job."""
    return job.state == "Completed" and "ModelArtifacts" in job.record
