"""Unpacks tar archives, which anyone may have written: nothing gets out of the directory they are unpacked in.

The standard library's own filter for that, ``tarfile.data_filter``, is not used: host Pythons before 3.8.17, 3.9.17,
3.10.12 and 3.11.4 lack it, so that a guard of our own is needed anyway; it makes links as they come, through which
later members are written, and was got round so (CVE-2025-4330, CVE-2025-4517), of which no Python 3.8 is mended.
"""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, Any, Iterator, List, NamedTuple, Tuple, cast

from rl_app.errors import UserError

MOST_HEADERS = 16 << 20  # bytes that say what the next member is; tarfile holds them in memory
MOST_PADDING = 1 << 20  # tar fills its last block of 10 KiB with zeros
LAST_TIME = 1 << 32  # seconds; file systems take no time of files that is far off


class Limits(NamedTuple):
    """The most that an archive may hold; folders and links count as files."""

    files: int
    size: int


OUTPUT = Limits(100_000, 50 << 30)
SOURCE = Limits(100_000, 4 << 30)
MODEL = Limits(10_000, 4 << 30)


def unpack(archive: Path, directory: Path, limits: Limits = OUTPUT) -> List[Path]:
    """Unpack a tar archive of files, folders and links to each other into ``directory``, which it makes.

    The archive may be compressed by gzip. Its owners and permissions do not count, apart from what
    is executable. Where it raises, what has been unpacked so far stays: the caller's directory is one to throw away.

    Returns:
        The files, relative to ``directory``, in the archive's order.

    Raises:
        UserError: corrupt; or a member that is an absolute path, has "..", is a device, leads out of the
            directory, or is there twice; or more than the limits.
        OSError: it cannot be read, or the directory not written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    files: List[Path] = []
    links: List[Tuple[Path, str]] = []
    size = 0
    try:
        with uncompressed(archive) as unzipped:
            stream = Metered(unzipped)
            # one pass, for the second of a large archive costs as much as the first; to the end, for gzip's checksum
            with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|") as tar:
                for number, member in enumerate(tar, start=1):
                    size += member.size
                    stream.left = member.size + MOST_HEADERS
                    if number > limits.files or size > limits.size:
                        raise UserError(f"{archive}: more than {limits.files} files or {limits.size} bytes")
                    name = inside(archive, member.name)
                    if member.isdir():
                        (directory / name).mkdir(parents=True, exist_ok=True)
                    elif member.issym():
                        links.append((name, member.linkname))
                    elif member.isfile() or member.islnk():
                        write(archive, tar, member, directory, name)
                        files.append(name)
                    else:
                        raise UserError(f"{archive}: {member.name!r}: neither a file, a folder nor a link")
            check_end(archive, stream, tar.offset)
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError) as error:
        raise UserError(f"{archive}: corrupt, or no tar archive: {error}") from None
    link(archive, directory, links)
    return files


def uncompressed(archive: Path) -> Any:
    """Open an archive, which is compressed where its first bytes are gzip's."""
    with archive.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    return gzip.open(archive) if compressed else archive.open("rb")


class Metered:
    """What tarfile reads from; it may read ``left`` more bytes."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.left = MOST_HEADERS
        self.begin = self.end = 0  # of the last part that was read
        self.last = b""

    def read(self, size: int) -> bytes:
        self.last = self.stream.read(size)
        self.begin, self.end = self.end, self.end + len(self.last)
        self.left -= len(self.last)
        if self.left < 0:
            raise tarfile.ReadError(f"more than {MOST_HEADERS} bytes about one file")
        return self.last

    def rest(self, offset: int) -> Iterator[bytes]:
        """Yield what follows ``offset``, which is in the last part, but no more than an archive is padded with."""
        yield self.last[offset - self.begin :]
        for _ in range(MOST_PADDING >> 16):
            yield self.stream.read(1 << 16)


def inside(archive: Path, name: str) -> Path:
    """Give the member's path below the directory; raises UserError where it leads elsewhere."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise UserError(f"{archive}: {name!r}: leads out of the archive's folder")
    return Path(*path.parts)


def write(archive: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, directory: Path, name: Path) -> None:
    """Put a file, or one more name of a file that is there, below the directory."""
    target = directory / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if member.islnk():
            os.link(directory / inside(archive, member.linkname), target)
            return
        source = tar.extractfile(member)
        assert source is not None
        with source, target.open("xb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
    except (FileExistsError, IsADirectoryError, NotADirectoryError):
        raise UserError(f"{archive}: {member.name!r}: there twice") from None
    except FileNotFoundError:
        raise UserError(f"{archive}: {member.name!r}: a link to what is not in the archive") from None
    target.chmod(0o755 if member.mode & 0o100 else 0o644)
    time = min(max(member.mtime, 0), LAST_TIME)
    os.utime(target, (time, time))


def check_end(archive: Path, stream: Metered, offset: int) -> None:
    """Read on to gzip's checksum; raises UserError where something but padding is left.

    tarfile takes a header that it cannot read for the end of the archive.
    """
    for part in stream.rest(offset):
        if part.strip(b"\0"):
            raise UserError(f"{archive}: corrupt, or no tar archive: after its last file there is something else")


def link(archive: Path, directory: Path, links: List[Tuple[Path, str]]) -> None:
    """Make the symbolic links, when nothing is written any more that could go through one."""
    try:
        for name, _ in links:  # all folders before the first link: none of them is made through one
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
        for name, target in links:
            (directory / name).symlink_to(target)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"{archive}: {str(name)!r}: there twice") from None
    root = directory.resolve()
    for name, target in links:
        try:
            end = (directory / name).resolve()
        except RuntimeError:
            raise UserError(f"{archive}: {str(name)!r}: a link that leads to itself") from None
        if os.path.isabs(target) or (root != end and root not in end.parents):
            raise UserError(f"{archive}: {str(name)!r}: a link out of the archive's folder, to {target!r}")
