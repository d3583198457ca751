"""What archives are unpacked: honest ones whole, hostile ones not at all."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from contextlib import suppress
from pathlib import Path
from typing import Callable, List, Optional

import pytest

from rl_app.errors import UserError
from rl_app.storage import archives
from rl_app.storage.archives import Limits


def entry(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, to: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, to, len(content)
    return member


def make(path: Path, *members: tarfile.TarInfo, content: bytes = b"", form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(str(path), "w:gz", format=form) as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return path


def tree(directory: Path) -> List[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def test_files_folders_and_links_inside_come_out(tmp_path: Path) -> None:
    program = entry("./1/run", b"data")
    program.mode, program.mtime = 0o4777, 1_600_000_000
    archive = make(
        tmp_path / "a.tar.gz",
        entry("empty", kind=tarfile.DIRTYPE),
        program,
        entry("again", kind=tarfile.LNKTYPE, to="1/run"),
        entry("1/newest", kind=tarfile.SYMTYPE, to="../1/run"),
        content=b"data",
    )
    into = tmp_path / "into"
    assert archives.unpack(archive, into) == [Path("1/run"), Path("again")]
    assert tree(into) == ["1", "1/newest", "1/run", "again", "empty"]
    assert (into / "1" / "newest").read_bytes() == (into / "again").read_bytes() == b"data"
    assert oct((into / "1" / "run").stat().st_mode & 0o7777) == "0o755"
    assert (into / "1" / "run").stat().st_mtime == 1_600_000_000


HOSTILE = {
    "an absolute path": [entry("/tmp/escaped")],
    "the folder above": [entry("../escaped")],
    "the folder above, further in": [entry("a/../../escaped")],
    "a link out": [entry("a", kind=tarfile.SYMTYPE, to="../escaped")],
    "an absolute link": [entry("a", kind=tarfile.SYMTYPE, to="/etc/passwd")],
    "a file through a link": [entry("a", kind=tarfile.SYMTYPE, to="../escaped"), entry("a/b")],
    "a link through a link": [
        entry("a", kind=tarfile.SYMTYPE, to="../escaped"),
        entry("a/b/c", kind=tarfile.SYMTYPE, to="x"),
    ],
    "a link that another turns around": [
        entry("a/b", kind=tarfile.SYMTYPE, to="../c/../escaped"),
        entry("c", kind=tarfile.SYMTYPE, to="."),
    ],
    "a hard link out": [entry("a", kind=tarfile.LNKTYPE, to="../secret")],
    "a hard link to nothing": [entry("a", kind=tarfile.LNKTYPE, to="b")],
    "a device": [entry("a", kind=tarfile.CHRTYPE)],
    "a pipe": [entry("a", kind=tarfile.FIFOTYPE)],
    "a name twice": [entry("a"), entry("a")],
    "a file where a folder is": [entry("a/b"), entry("a")],
    "a folder where a file is": [entry("a"), entry("a/b")],
    "the folder itself": [entry(".")],
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_leads_out_or_is_no_file_is_refused(members: List[tarfile.TarInfo], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("theirs")
    archive = make(tmp_path / "a.tar.gz", *members)
    before = tree(tmp_path)
    with pytest.raises(UserError) as refused:
        archives.unpack(archive, tmp_path / "into")
    assert str(refused.value).startswith(f"{archive}: ") and "\n" not in str(refused.value)
    outside = [name for name in tree(tmp_path) if name.split("/")[0] != "into"]
    assert outside == before, "nothing was written elsewhere"
    assert os.stat(tmp_path / "secret").st_nlink == 1


def test_a_link_that_leads_to_itself_is_not_followed(tmp_path: Path) -> None:
    archive = make(tmp_path / "a.tar.gz", entry("a", kind=tarfile.SYMTYPE, to="a"))
    with suppress(UserError):  # Python 3.13 takes it for what it is, a link to nothing
        archives.unpack(archive, tmp_path / "into")
    assert (tmp_path / "into" / "a").is_symlink()


def test_there_are_limits(tmp_path: Path) -> None:
    archive = make(tmp_path / "a.tar.gz", entry("a", bytes(600)), entry("b", bytes(600)), content=bytes(600))
    for number, most in enumerate((Limits(1, 1200), Limits(2, 1000))):
        with pytest.raises(UserError, match="more than"):
            archives.unpack(archive, tmp_path / str(number), most)
        assert not (tmp_path / str(number) / "b").exists()
    archives.unpack(archive, tmp_path / "enough", Limits(2, 1200))


@pytest.mark.parametrize("compression", ["", "gz"])
def test_an_archive_is_unpacked_compressed_or_not(compression: str, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(str(archive), f"w:{compression}") as tar:
        tar.addfile(entry("a", b"content"), io.BytesIO(b"content"))
    assert archives.unpack(archive, tmp_path / "into") == [Path("a")]
    archive.write_bytes(archive.read_bytes()[:60])
    with pytest.raises(UserError, match="corrupt, or no tar archive: "):
        archives.unpack(archive, tmp_path / "cut")


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    long = entry("x", kind=tarfile.GNUTYPE_LONGNAME)
    long.size = 1 << 40
    header = long.tobuf(tarfile.GNU_FORMAT)
    archive = tmp_path / "a.tar.gz"
    with gzip.open(archive, "wb", compresslevel=1) as stream:
        stream.write(header)
        for _ in range(archives.MOST_HEADERS >> 20):
            stream.write(bytes(1 << 20))
        stream.write(bytes(1 << 20))
    with pytest.raises(UserError, match="bytes about one file"):
        archives.unpack(archive, tmp_path / "into")


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    return data[:-6] + bytes([data[-6] ^ 255]) + data[-5:]


def nothing(data: bytes) -> bytes:
    return b""


def text(data: bytes) -> bytes:
    return b"<Error>no such key</Error>"


def followed(data: bytes) -> bytes:
    return gzip.compress(gzip.decompress(data) + b"more")


def header_spoilt(data: bytes) -> bytes:
    """The second member's, after which tarfile stops in silence."""
    tar = bytearray(gzip.decompress(data))
    second = 512 + 1024 + 10
    tar[second] ^= 255
    return gzip.compress(bytes(tar))


@pytest.mark.parametrize(
    "spoil", [cut, flipped, nothing, text, followed, header_spoilt], ids=lambda spoil: spoil.__name__
)
def test_a_corrupt_archive_is_refused(spoil: Callable[[bytes], bytes], tmp_path: Path) -> None:
    content: Optional[bytes] = os.urandom(1000)
    assert content
    archive = make(
        tmp_path / "a.tar.gz", entry("a", content), entry("b", content), content=content, form=tarfile.USTAR_FORMAT
    )
    archive.write_bytes(spoil(archive.read_bytes()))
    with pytest.raises(UserError, match="corrupt, or no tar archive: ") as refused:
        archives.unpack(archive, tmp_path / "into")
    assert "\n" not in str(refused.value)
