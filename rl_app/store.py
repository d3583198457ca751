"""Where jobs keep their files: an S3 bucket or a directory, behind the same few operations."""

from __future__ import annotations

import logging
import os
import re
import shutil
import threading
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Protocol, Tuple
from urllib.parse import unquote, urlsplit

from rl_app import disk
from rl_app.errors import JobError, UserError

WORK = ".work"
"""A folder in a directory store for the jobs that run; no key begins with it."""

_BUCKET = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REFUSED = {
    "401",
    "403",
    "AccessDenied",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """A file of a store; ``size`` in bytes, ``modified`` in UTC."""

    key: str
    size: int
    modified: datetime


class Store(Protocol):
    """Files under keys, which are relative POSIX paths. Every write is whole or not at all.

    All methods raise JobError with one line of reason where the store fails, UserError for what is no key,
    and OSError where the trouble is a local file.
    """

    url: str

    def read(self, key: str) -> bytes:
        """The content; raises FileNotFoundError where there is none."""

    def write(self, key: str, data: bytes) -> None:
        """Puts ``data`` in the place of whatever was there."""

    def create(self, key: str, data: bytes) -> bool:
        """Writes where nothing is yet; False where something is. Of several at once exactly one wins."""

    def upload(self, path: Path, key: str) -> None:
        """Puts a copy of the local file there."""

    def download(self, key: str, path: Path, arrived: Optional[Callable[[int], None]] = None) -> None:
        """Puts a copy here, making directories on the way; raises FileNotFoundError where there is none.

        ``arrived`` is told the bytes of each part that has come.
        """

    def list(self, prefix: str) -> List[Entry]:
        """All below the folder ``prefix`` ("" for the whole store), sorted by key."""

    def folders(self) -> List[str]:
        """The names at the top that have files below them: each job's, sorted."""

    def delete(self, key: str) -> None:
        """Removes it, where it is there."""


def open_store(url: str, environ: Mapping[str, str] = os.environ, make: bool = True) -> Store:
    """Opens ``s3://BUCKET[/PREFIX]`` or a directory (a path or a file:// URL).

    A bucket is asked for, and made where it is missing; a directory is made by the first write. Without ``make``
    the store is to be read: one that is missing is refused.

    Raises:
        UserError: not a URL of a store; unreachable; refused the credentials; missing, without ``make``.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme == "file":
        return _open_directory(Path(unquote(rest) if separator else url).expanduser().absolute(), make)
    if scheme != "s3":
        raise UserError(f"store {url}: must be s3://BUCKET[/PREFIX] or a directory")
    bucket, _, prefix = rest.partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise UserError(f"store {url}: bucket {bucket!r} must be 3 to 63 of a-z, 0-9, '-' and '.', ends alphanumeric")
    return _open_bucket(bucket, _checked(prefix.rstrip("/")) if prefix else "", environ, make)


def fetch(url: str, file: Path) -> None:
    """Downloads one object of S3; raises UserError where there is none."""
    folder, _, name = url.rpartition("/")
    try:
        open_store(folder).download(name, file)
    except FileNotFoundError:
        raise UserError(f"{url}: there is no such file") from None


def restore(store: Store, prefix: str, directory: Path) -> None:
    """Downloads all below ``prefix``, the oldest first: the order in which a Mirror would put it back."""
    for entry in sorted(store.list(prefix), key=lambda entry: entry.modified):
        store.download(entry.key, directory / PurePosixPath(entry.key).relative_to(prefix))


def temporary(name: str) -> bool:
    """Whether a file or folder of this name is one that is still being written."""
    return name.startswith(".tmp") or name.endswith(".tmp")


class DirectoryStore:
    """A Store below the directory ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = str(root)

    def read(self, key: str) -> bytes:
        with self._told(key):
            return self._path(key).read_bytes()

    def write(self, key: str, data: bytes) -> None:
        with self._told(key), _beside(self._path(key)) as file:
            file.write_bytes(data)

    def create(self, key: str, data: bytes) -> bool:
        with self._told(key):
            try:
                with _beside(self._path(key), place=os.link) as file:
                    file.write_bytes(data)
            except FileExistsError:
                return False
        return True

    def upload(self, path: Path, key: str) -> None:
        # opened first: where it cannot be read, that is no fault of the store
        with path.open("rb"), self._told(key), _beside(self._path(key)) as file:
            shutil.copyfile(path, file)

    def download(self, key: str, path: Path, arrived: Optional[Callable[[int], None]] = None) -> None:
        with self._told(key), _beside(path) as file:
            shutil.copyfile(self._path(key), file)
            if arrived:
                arrived(file.stat().st_size)

    def list(self, prefix: str) -> List[Entry]:
        with self._told(prefix):
            return sorted(
                (
                    Entry(key, stat.st_size, datetime.fromtimestamp(stat.st_mtime, timezone.utc))
                    for key, stat in _files(self.root, f"{_checked(prefix)}/" if prefix else "")
                    if not key.startswith(f"{WORK}/")
                ),
                key=lambda entry: entry.key,
            )

    def folders(self) -> List[str]:
        with self._told(""):
            try:
                entries = list(os.scandir(self.root))
            except FileNotFoundError:
                return []
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
            return sorted(name for name in names if name != WORK and not temporary(name))

    def delete(self, key: str) -> None:
        path = self._path(key)
        with self._told(key):
            try:
                path.unlink()
            except FileNotFoundError:
                return
            self._prune(path.parent)

    def _prune(self, folder: Path) -> None:
        """Removes folders that have become empty: S3 has none, and a reader finds the same in both."""
        while folder != self.root:
            try:
                folder.rmdir()
            except OSError:  # not empty, or gone already
                return
            folder = folder.parent

    def _path(self, key: str) -> Path:
        return self.root / _checked(key)

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise FileNotFoundError(f"store {self.url}: no {key}") from None
        except OSError as error:
            raise JobError(f"store {self.url}: {key}: {error.strerror or error}") from error


class S3Store:
    """A Store below ``prefix`` of a bucket."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self.url = "s3://" + "/".join(filter(None, (bucket, prefix)))
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""

    def read(self, key: str) -> bytes:
        with self._told(key):
            body: bytes = self._client.get_object(**self._object(key))["Body"].read()
            return body

    def write(self, key: str, data: bytes) -> None:
        with self._told(key):
            self._client.put_object(**self._object(key), Body=data)

    def create(self, key: str, data: bytes) -> bool:
        from botocore.exceptions import ClientError

        with self._told(key):
            try:
                self._client.put_object(**self._object(key), Body=data, IfNoneMatch="*")
            except ClientError as error:
                # a conflict: another's create of the same key was under way and has won
                if _code(error) in ("PreconditionFailed", "ConditionalRequestConflict"):
                    return False
                raise
        return True

    def upload(self, path: Path, key: str) -> None:
        with self._told(key):
            self._client.upload_file(str(path), **self._object(key), Config=_one_thread())

    def download(self, key: str, path: Path, arrived: Optional[Callable[[int], None]] = None) -> None:
        with self._told(key), _beside(path) as file:
            self._client.download_file(**self._object(key), Filename=str(file), Config=_one_thread(), Callback=arrived)

    def list(self, prefix: str) -> List[Entry]:
        below = self._prefix + (f"{_checked(prefix)}/" if prefix else "")
        with self._told(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=below)
            return [
                Entry(
                    found["Key"][len(self._prefix) :],
                    found["Size"],
                    found["LastModified"].astimezone(timezone.utc),
                )
                for page in pages
                for found in page.get("Contents", [])
                if not found["Key"].endswith("/")  # a folder that some console made
            ]

    def folders(self) -> List[str]:
        with self._told(""):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix, Delimiter="/"
            )
            return sorted(
                found["Prefix"][len(self._prefix) : -1] for page in pages for found in page.get("CommonPrefixes", [])
            )

    def delete(self, key: str) -> None:
        with self._told(key):
            self._client.delete_object(**self._object(key))

    def _object(self, key: str) -> Dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + _checked(key)}

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (Boto3Error, BotoCoreError, ClientError) as error:
            if _code(error) in ("404", "NoSuchKey"):
                raise FileNotFoundError(f"store {self.url}: no {key}") from None
            raise JobError(f"store {self.url}: {key}: {_cause(error)}") from error


_Fingerprint = Tuple[int, int, int]


class Mirror:
    """Keeps what is in ``directory`` below ``prefix`` of the store, from start() to stop(), in a thread.

    A pass each ``interval`` seconds uploads what is new or changed since the last, the oldest first: what is
    written after all that it speaks of arrives after it. With ``delete`` what vanishes here vanishes there.
    Symbolic links and names that begin or end with ".tmp" are left out. While the store fails the files wait.
    """

    def __init__(self, directory: Path, store: Store, prefix: str, delete: bool = False, interval: float = 1.0) -> None:
        self._directory = directory
        self._store = store
        self._prefix = prefix
        self._delete = delete
        self._interval = interval
        self._kept: Optional[Dict[str, Optional[_Fingerprint]]] = None if delete else {}
        self._waiting: List[str] = []
        self._trouble: Optional[str] = None
        self._stopping = threading.Event()
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"mirror {prefix}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Brings the store up to date, trying again for at most ``timeout`` seconds, and ends.

        Raises:
            JobError: names the files that are not in the store, and why.
        """
        self._stopping.set()
        self._thread.join(timeout)
        self._given_up.set()
        trouble = self._trouble or ("no time was left" if self._thread.is_alive() else None)
        if trouble:
            waiting = self._waiting[:5] + [f"{len(self._waiting) - 5} more"] * (len(self._waiting) > 5)
            lacks = ", ".join(waiting) or "the last changes"
            raise JobError(f"{self._store.url}/{self._prefix} lacks {lacks}: {trouble}")

    def _run(self) -> None:
        while not self._stopping.wait(self._interval):
            self._tell(self._try())
        while True:
            trouble = self._tell(self._try())
            # A disk that is full at the end of a job is not waited for: the job itself fills it
            if not trouble or disk.NO_SPACE in trouble or self._given_up.wait(self._interval):
                return

    def _try(self) -> Optional[str]:
        """One pass; the reason why not all is in the store, None where it is."""
        try:
            return self._pass()
        except Exception as error:  # whatever it was: a thread that ends uploads nothing more
            return str(error) or type(error).__name__

    def _tell(self, trouble: Optional[str]) -> Optional[str]:
        if trouble and not self._trouble:
            _log.warning("%s; trying again", trouble)
        elif self._trouble and not trouble:
            _log.warning("store %s: %s is up to date again", self._store.url, self._prefix)
        self._trouble = trouble
        return trouble

    def _pass(self) -> Optional[str]:
        trouble = None
        if self._kept is None:
            found = (PurePosixPath(entry.key) for entry in self._store.list(self._prefix))
            self._kept = {str(key.relative_to(self._prefix)): None for key in found}
        here = {name: (stat.st_mtime_ns, stat.st_size, stat.st_ino) for name, stat in _files(self._directory)}
        changed = sorted(
            (name for name in here if self._kept.get(name) != here[name]), key=lambda name: (here[name], name)
        )
        self._waiting = list(changed)
        for name in changed:
            try:
                self._store.upload(self._directory / name, f"{self._prefix}/{name}")
                self._kept[name] = here[name]
            except (OSError, UserError) as error:  # this file's own trouble; the others need not wait for it
                if os.path.lexists(self._directory / name):
                    trouble = str(error)
                    continue
            self._waiting.remove(name)
        if self._delete and self._directory.is_dir():
            for name in [name for name in self._kept if name not in here]:
                self._store.delete(f"{self._prefix}/{name}")
                del self._kept[name]
        return trouble


def _checked(key: str) -> str:
    """The key itself, where it is a plain relative path that stays below its store."""
    path = PurePosixPath(key)
    plain = key not in ("", ".") and str(path) == key and not path.is_absolute() and ".." not in path.parts
    if not plain or key != key.encode(errors="replace").decode():
        raise UserError(f"key {key!r}: must be a relative UTF-8 path without '..' and '//'")
    return key


def _files(directory: Path, below: str = "") -> Iterator[Tuple[str, os.stat_result]]:
    """The whole files below ``directory/below`` by their names relative to ``directory``."""
    try:
        entries = list(os.scandir(directory / below))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if temporary(entry.name):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(directory, f"{below}{entry.name}/")
        elif entry.is_file(follow_symlinks=False):
            try:
                stat = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            yield f"{below}{entry.name}", stat


@contextmanager
def _beside(path: Path, place: Callable[[Path, Path], None] = os.replace) -> Iterator[Path]:
    """A temporary name beside ``path``, put in its place and on disk once the block has written it."""
    _make_folder(path.parent)
    beside = path.parent / f".tmp-{uuid.uuid4().hex}"
    try:
        yield beside
        _give_to_owner(beside)
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        place(beside, path)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _give_to_owner(folder)


def _give_to_owner(path: Path) -> None:
    """What root makes in the directory of another is that other's."""
    owner = path.parent.stat()
    if os.geteuid() == 0 != owner.st_uid:
        with suppress(OSError):  # a file system that knows no owners
            os.chown(path, owner.st_uid, owner.st_gid)


def _open_directory(root: Path, make: bool) -> DirectoryStore:
    try:
        there = next(folder for folder in (root, *root.parents) if folder.exists())
    except OSError as error:
        raise UserError(f"store {root}: {error.strerror}") from None
    if not there.is_dir():
        raise UserError(f"store {root}: {there} is not a directory")
    if not make and there != root:
        raise UserError(f"store {root}: there is no such directory")
    if make and not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"store {root}: {there} is not writable")
    if make:
        disk.check_space(there)
    return DirectoryStore(root)


def _open_bucket(bucket: str, prefix: str, environ: Mapping[str, str], make: bool) -> S3Store:
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    url, address = f"s3://{bucket}", endpoint(environ)
    where = shown(address) if address else "AWS"
    try:
        client = _client(environ, address)
        _have_bucket(client, bucket, make)
    except (NoCredentialsError, PartialCredentialsError):
        raise UserError(f"store {url}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY") from None
    except ClientError as error:
        if _code(error) == "404":
            raise UserError(f"store {url}: {where} has no such bucket") from None
        if _code(error) in _REFUSED:
            raise UserError(f"store {url}: {where} refused the credentials, or they may not use this bucket") from None
        raise UserError(f"store {url}: {where} answers: {_cause(error)}") from None
    except (BotoCoreError, ValueError) as error:
        raise UserError(f"store {url}: cannot reach {where}: {_cause(error)}") from None
    return S3Store(client, bucket, prefix)


def shown(address: str) -> str:
    """What of an endpoint's URL holds no password."""
    return f"{urlsplit(address).scheme}://{urlsplit(address).netloc.rpartition('@')[2]}"


def endpoint(environ: Mapping[str, str]) -> Optional[str]:
    """The URL of the stand-in for S3 that the environment names; None is AWS."""
    names = ("AWS_ENDPOINT_URL_S3", "S3_ENDPOINT_URL", "AWS_ENDPOINT_URL")
    return next((environ[name] for name in names if environ.get(name)), None)


def _client(environ: Mapping[str, str], endpoint: Optional[str]) -> Any:
    # boto3 takes 0.3 s to import, which a directory store need not pay
    import boto3
    from botocore.config import Config
    from botocore.handlers import add_expect_header

    session = boto3.session.Session(
        aws_access_key_id=environ.get("AWS_ACCESS_KEY_ID") or None,
        aws_secret_access_key=environ.get("AWS_SECRET_ACCESS_KEY") or None,
        aws_session_token=environ.get("AWS_SESSION_TOKEN") or None,
        region_name=environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None,
    )
    config = Config(
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "total_max_attempts": 3},
        s3={"addressing_style": "path" if endpoint else "auto"},
        # stand-ins for S3 do not know the checksums that boto3 sends by default
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    region = session.region_name or "us-east-1"
    client = session.client("s3", endpoint_url=endpoint, region_name=region, config=config)
    # An empty file is answered without `100 Continue`, after which botocore takes the next answer on that connection
    # for one without a status line and waits for it until the read times out.
    client.meta.events.unregister("before-call.s3", add_expect_header)
    return client


def _have_bucket(client: Any, bucket: str, make: bool) -> None:
    from botocore.exceptions import ClientError

    try:
        client.head_bucket(Bucket=bucket)
        return
    except ClientError as error:
        if _code(error) != "404" or not make:
            raise
    region = client.meta.region_name
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        client.create_bucket(Bucket=bucket, **place)
    except ClientError as error:
        if _code(error) != "BucketAlreadyOwnedByYou":  # another job of ours made it since
            raise


def _one_thread() -> Any:
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(use_threads=False)


def _code(error: Exception) -> str:
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def _cause(error: Exception) -> str:
    """What botocore says in one line, or what the network said where botocore only says that it did."""
    network = getattr(error, "kwargs", {}).get("error")
    said = str(network.args[-1]).rpartition("new connection: ")[2] if network and network.args else str(error)
    return " ".join(said.split())
