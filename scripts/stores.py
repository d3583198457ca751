"""The stores that this machine knows, and the jobs in them.

A job is looked for in `runs/`, where the process mode keeps its jobs, and in the MinIO of docker-compose.yml.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from rl_app import sagemaker
from rl_app.errors import UserError
from rl_app.store import DirectoryStore, Store, open_store
from scripts import environments
from scripts.environments import ROOT

COMPOSE = "compose"
"""What --store takes for the MinIO of docker-compose.yml."""
FETCHED = "fetched.json"
"""Written by scripts/fetch into the copy of a job that is kept elsewhere; a job of the directory has job.json."""
SILENT_S = 60.0
"""local_mode writes job.json every 20 s: a running job whose record is older than this has died."""
CONNECT_S = 1.0

Record = Dict[str, Any]


class Place(NamedTuple):
    """A store under the name that --store takes for it."""

    name: str
    store: Store


class Places(NamedTuple):
    """The stores that answer, and a line for each that does not."""

    open: List[Place]
    left_out: List[str]


@dataclass(frozen=True)
class Job:
    """A job of a store.

    ``record`` is its job.json, {} where there is none (a job of SageMaker's) and where it cannot be read.
    """

    name: str
    place: Place
    record: Record

    @property
    def store(self) -> Store:
        return self.place.store

    @property
    def state(self) -> str:
        """InProgress, Completed, Failed, Stopped; "" where no record tells."""
        return str(self.record.get("TrainingJobStatus", ""))

    @property
    def silent_s(self) -> Optional[float]:
        """For how long a job that should be running has given no sign of life; None where all is well."""
        modified = time_of(self.record, "LastModifiedTime")
        if self.state != "InProgress" or "Local" not in self.record or modified is None:
            return None
        age = (datetime.now(timezone.utc) - modified).total_seconds()
        return age if age > SILENT_S else None


def add_place(parser: argparse.ArgumentParser) -> None:
    """The options that say where a script looks for jobs; without any, in all stores of this machine."""
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--store", metavar="URL", help="s3://BUCKET[/PREFIX], a directory, or compose")
    place.add_argument("--cloud", action="store_true", help="SageMaker's jobs")


def open_places(url: Optional[str] = None, environ: Mapping[str, str] = os.environ, root: Path = ROOT) -> Places:
    """Opens the store ``url``, or all that this machine knows; starts the script again where boto3 is wanted.

    Args:
        url: s3://BUCKET[/PREFIX] with AWS's own settings, a directory, or :data:`COMPOSE`.

    Raises:
        UserError: the store of ``url`` is missing, unreachable, or refuses.
    """
    settings = {**dotenv(root / ".env", environ), **environ}
    if url == COMPOSE:
        away = compose_away(settings)
        if away:
            raise UserError(f"--store {url}: {away}")
        return Places([open_compose(settings)], [])
    if url:
        if url.startswith("s3://"):
            environments.become_host()
        store = open_store(url, environ, make=False)
        return Places([Place(shown(store.root) if isinstance(store, DirectoryStore) else url, store)], [])
    found = [open_runs(settings, root)]
    away = compose_away(settings)
    if away:
        return Places(found, [f"compose store left out: {away}"])
    try:
        return Places([*found, open_compose(settings)], [])
    except UserError as error:
        return Places(found, [f"compose store left out: {error}"])


def open_runs(settings: Mapping[str, str], root: Path = ROOT) -> Place:
    """The directory of the process mode's jobs, which may not be there yet."""
    named = settings.get("STORE", "")
    runs = Path(named).absolute() if named and "://" not in named else root / "runs"
    return Place(shown(runs), DirectoryStore(runs))


def compose_away(settings: Mapping[str, str]) -> Optional[str]:
    """Why the MinIO of docker-compose.yml cannot be asked; None where something listens on its port."""
    port = settings.get("S3_PORT") or "9000"
    try:
        socket.create_connection(("127.0.0.1", int(port)), timeout=CONNECT_S).close()
    except ValueError:
        return f"S3_PORT = {port}: must be a port's number"
    except (OSError, OverflowError):
        return f"MinIO is not up (127.0.0.1:{port}); `docker compose up -d minio` starts it"
    return None


def open_compose(settings: Mapping[str, str]) -> Place:
    """The bucket of docker-compose.yml, in the environment that has boto3; raises UserError."""
    environments.become_host()
    named = settings.get("STORE", "")
    endpoint = f"http://127.0.0.1:{settings.get('S3_PORT') or '9000'}"
    keys = {
        "AWS_ACCESS_KEY_ID": settings.get("S3_ACCESS_KEY") or "rllib-local",
        "AWS_SECRET_ACCESS_KEY": settings.get("S3_SECRET_KEY") or "rllib-local",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": endpoint,
    }
    return Place(COMPOSE, open_store(named if named.startswith("s3://") else "s3://rllib", keys))


def dotenv(file: Path, environ: Mapping[str, str]) -> Dict[str, str]:
    """The settings in the file `.env` that `docker compose` reads; {} where there is none.

    ``environ`` is what its values may name, as ``$NAME``, ``${NAME}`` or ``${NAME:-default}``.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return {}
    settings: Dict[str, str] = {}
    for line in lines:
        found = re.fullmatch(r"\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*=\s*(.*?)\s*", line)
        if found:
            settings[found[1]] = _value(found[2], {**settings, **environ})
    return settings


def _value(text: str, names: Mapping[str, str]) -> str:
    literal = re.match(r"'([^']*)'", text)
    if literal:
        return literal[1]
    quoted = re.match(r'"((?:[^"\\]|\\.)*)"', text)
    plain = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else re.split(r"(?:^|\s)#", text)[0].rstrip()
    return re.sub(
        r"\$(?:\{(\w+)(?::?-([^}]*))?\}|(\w+))",
        lambda found: names.get(found[1] or found[3]) or found[2] or "",
        plain,
    )


def find(name: str, url: Optional[str] = None, environ: Mapping[str, str] = os.environ, root: Path = ROOT) -> Job:
    """The job of this name in the store ``url``, or in whichever store of this machine has it.

    Raises:
        UserError: no store has it, with the nearest names; or more than one has.
    """
    sagemaker.check_job_name(name)
    places = open_places(url, environ, root)
    found = [job for job in (look_up(name, place) for place in places.open) if job]
    if len(found) > 1:
        options = " or ".join(f"--store {job.place.name}" for job in found)
        raise UserError(f"{name}: a job of {' and of '.join(job.place.name for job in found)}; say {options}")
    return found[0] if found else _copy(name, places)


def _copy(name: str, places: Places) -> Job:
    """The fetched copy of a job whose own store does not have it, or is away; raises UserError if there is none."""
    for place in places.open:
        record = read_record(place.store, f"{name}/{FETCHED}")
        if record is not None:
            return Job(name, place, record)
    known = sorted({known for place in places.open for known in place.store.folders()})
    near = difflib.get_close_matches(name, known, n=3)
    wanted = f"did you mean {' or '.join(near)}?" if near else "`scripts/jobs` lists them, --cloud asks SageMaker"
    reasons = "".join(f" ({reason})" for reason in places.left_out)
    raise UserError(f"{name}: no such job in {' or '.join(place.name for place in places.open)}; {wanted}{reasons}")


def jobs(place: Place) -> List[Job]:
    """All jobs of a store, the newest first."""
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda name: look_up(name, place), place.store.folders())
        return sorted((job for job in found if job), key=began, reverse=True)


def began(job: Job) -> str:
    """When the job was made, as a key to sort by; "" where no record tells."""
    at = time_of(job.record, "CreationTime")
    return at.astimezone(timezone.utc).isoformat() if at else ""


def look_up(name: str, place: Place) -> Optional[Job]:
    """The job of this name; None where the store has none. A job of SageMaker's has output, but no job.json."""
    record = read_record(place.store, f"{name}/job.json")
    if record is None:
        if not isinstance(place.store, DirectoryStore) and place.store.list(f"{name}/output"):
            return Job(name, place, {})
        return None
    return Job(name, place, record)


def read_record(store: Store, key: str) -> Optional[Record]:
    """A JSON object of the store: {} where it is none, None where there is no such file."""
    try:
        record = json.loads(store.read(key))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def time_of(record: Mapping[str, Any], key: str) -> Optional[datetime]:
    """A time of the record, in UTC where it names no zone; None where it has none that can be read."""
    try:
        at = datetime.fromisoformat(str(record[key]).replace("Z", "+00:00"))
    except (KeyError, ValueError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)


def shown(path: Path) -> str:
    """The path as short as it can be typed here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)
