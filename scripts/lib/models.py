"""Where a model is that is given as a job, a URL or a path, and so where it is used."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import List, Mapping, NamedTuple, Optional, Sequence

from rl_app.errors import UserError
from rl_app.local.request import is_path
from rl_app.storage import artifacts, layout
from rl_app.storage.directory import DirectoryStore
from rl_app.storage.opening import directory_of
from scripts.lib import compose, dotenv, engine, environments, jobs, stores
from scripts.lib.cli import note
from scripts.lib.compose import COMPOSE
from scripts.lib.jobs import Job

MODEL_FILES = (layout.MODEL, "model/policy.json", "model/checkpoint")
"""Where a job has its model; unpacked where scripts/fetch brought it here."""


class Use(NamedTuple):
    """On what models are used, what they are called there, and what of the environment finds them."""

    engine: str
    models: Sequence[str]
    environ: Mapping[str, str] = {}


def declare_engine(parser: argparse.ArgumentParser) -> None:
    """Add the option that says on what models are used."""
    text = "default: where the model is; else docker, if one answers"
    parser.add_argument("--engine", choices=["docker", "process"], help=text)


def choose(
    wanted: Optional[str],
    store: Optional[str],
    names: Sequence[str],
    doing: str,
    root: Path = environments.ROOT,
) -> Use:
    """Return the engine to run on, which it says, and why, with the models as that engine finds them.

    Args:
        wanted: the engine that is asked for, if any.
        store: the URL or directory that is given, if any.
        names: the models; the newest job's where there are none.
        doing: what is done with them, in a word.

    Raises:
        UserError: the engine cannot be had, there is no such job, or it has no model.
    """
    folder = directory_of(store or "")
    if wanted == "docker" and folder:
        raise UserError(f"--engine docker: --store {store} is a directory of this machine")
    found = [] if store else look(names, wanted, root)
    made_in = wanted or ("process" if folder else engine_of(found))
    reason = None if made_in == "process" else engine.why_not()
    if made_in == "docker" and reason:
        raise UserError(f"--engine docker: {reason}" if wanted else f"the model is in MinIO: {reason}")
    kind = made_in or ("process" if reason else "docker")
    if kind == "docker" and store:
        look_in_minio(names, store, root)
    if not wanted:
        how = "a process" if kind == "process" else "Docker"
        note(f"{doing} in {how}{f': {reason}' if reason else ''}")
    return in_docker(names, found) if kind == "docker" else in_process(names, found, root)


# ---- where they are


def look(names: Sequence[str], wanted: Optional[str], root: Path) -> List[Job]:
    """Find the jobs among the names, or the newest of all; none where no job tells, or MinIO is yet to start.

    Raises:
        UserError: there is no such job, or it has no model.
    """
    if not names:
        return newest(wanted, root)
    named = job_names(names)
    runs = stores.open_runs(os.environ, root)
    here = [job for job in (jobs.look_up(name, runs) for name in named) if job]
    away = compose.why_away(dotenv.settings(root=root))
    minio_to_start = away and wanted == "docker"
    # without asking MinIO, for which boto3 may have to be installed first
    all_here = len(here) == len(named) and (away or wanted == "process")
    found = here if minio_to_start or all_here else [jobs.find(name, root=root) for name in named]
    for job in found:
        check_model(job)
    return found


def newest(wanted: Optional[str], root: Path) -> List[Job]:
    """Find the newest job with a model in any store of this machine, or in that of the engine that is wanted.

    Raises:
        UserError: there is none, and no store that may still have one.
    """
    opened = stores.open_all(root=root)
    asked = [each for each in opened.open if wanted is None or wanted == engine_for(each.name)]
    trained = [job for each in asked for job in jobs.all_of(each) if artifacts.trained(job.record)]
    if not trained and (wanted == "process" or not opened.left_out):
        there = " and ".join(each.name for each in asked)
        raise UserError(f"{there}: no completed training job; scripts/train makes one, MODEL names another")
    return sorted(trained, key=jobs.began)[-1:]


def look_in_minio(names: Sequence[str], store: str, root: Path) -> None:
    """Refuse, before an image is built, what another bucket of MinIO does not have; ask only where that is up."""
    given, named = dotenv.settings(root=root), job_names(names)
    if not named or compose.why_away(given):
        return
    bucket = stores.NamedStore(store, stores.open_compose({**given, "STORE": store}).store)
    for name in named:
        job = jobs.look_up(name, bucket)
        if job is None:
            raise UserError(f"{name}: no such job in {store} of MinIO")
        check_model(job)


def check_model(job: Job) -> None:
    """Raise UserError for a job that has no model."""
    there = {entry.key for part in ("output", "model") for entry in job.store.list(f"{job.name}/{part}")}
    if not any(f"{job.name}/{key}" in there for key in MODEL_FILES):
        raise UserError(f"{job.name}: a job of {job.kept_in.name}, {job.state or 'of SageMaker'}, and has no model")


def job_names(names: Sequence[str]) -> List[str]:
    """List those of the names that are jobs'."""
    return [name for name in names if "://" not in name and not is_path(name)]


# ---- where they are used


def engine_for(store: str) -> str:
    """Return the engine whose own store it is."""
    return "docker" if store == COMPOSE else "process"


def engine_of(found: Sequence[Job]) -> Optional[str]:
    """Return the engine in whose store the jobs are, Docker for several, as it sees both; None where no job tells."""
    engines = {engine_for(job.kept_in.name) for job in found}
    return None if not engines else "docker" if "docker" in engines else "process"


def in_docker(names: Sequence[str], found: Sequence[Job]) -> Use:
    """Say what a container calls the models: jobs of this machine's directories are folders, to be mounted."""
    folders = {job.name: str(job.store.root / job.name) for job in found if isinstance(job.store, DirectoryStore)}
    return Use("docker", [name if is_path(name) else folders.get(name, name) for name in names])


def in_process(names: Sequence[str], found: Sequence[Job], root: Path) -> Use:
    """Say what a process calls the models: jobs of MinIO have URLs, and the keys to it are in the environment.

    Raises:
        UserError: another S3 is asked for as well.
    """
    urls = {job.name: f"{job.store.url}/{job.name}" for job in found if job.kept_in.name == COMPOSE}
    others = [name for name in names if "://" in name]
    if not names or not urls:
        return Use("process", names)
    if others:
        raise UserError(
            f"{others[0]}: is not in the MinIO that has {' and '.join(urls)}, and a job has one S3; scripts/fetch "
            f"{next(iter(urls))} brings that here, and runs/{next(iter(urls))} can be given"
        )
    models = [name if is_path(name) else urls.get(name, name) for name in names]
    return Use("process", models, compose.environ_of(dotenv.settings(root=root)))
