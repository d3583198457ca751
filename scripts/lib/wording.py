"""Numbers, sizes, times and paths as a person reads them."""

from __future__ import annotations

from pathlib import Path


def count(number: int, what: str) -> str:
    """Return `1 file`, `2 files`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def in_bytes(size: float) -> str:
    """Return `12 bytes`, `3 KB`, `4 MB`, `5.0 GB`."""
    for unit in ("bytes", "KB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def duration(seconds: float) -> str:
    """Return `12 s`, `3:05 min`, `2:01 h`, `3 d`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    if whole < 48 * 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02} h"
    return f"{whole // 86400} d"


def short_path(path: Path) -> str:
    """Return the path as short as it can be typed here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)
