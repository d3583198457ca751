"""Which of a job's videos are in its report, and what is written under each."""

from __future__ import annotations

import math
from pathlib import Path
from typing import List, NamedTuple, Sequence, Set, Tuple

from rl_app.policy.videos import Video

# How much a page holds, so that it opens at once on a phone and is quick to upload time and again.
MOST_VIDEOS = 12
MOST_VIDEO_BYTES = 8 * 1024 * 1024


class Figure(NamedTuple):
    """A video with a caption."""

    file: Path
    caption: str


def figures(videos: Sequence[Video]) -> List[Figure]:
    """Return those videos that the page holds."""
    if not videos:
        return []
    best, latest = _best(videos), videos[-1]
    shown = []
    for video in chosen_videos([(video, video.file.stat().st_size) for video in videos]):
        marks = [word for word, marked in (("best", best), ("latest", latest)) if video == marked]
        reward = "no episode had ended" if video.reward is None else f"mean reward {video.reward:,.2f}"
        shown.append(Figure(video.file, " · ".join([f"iteration {video.iteration:,}", reward, *marks])))
    return shown


def left_out(count: int, total: int) -> str:
    """Return what is said of the videos that the page does not hold; "" where it holds all."""
    return f"{count} of {total} are not in this file but beside it, in videos/." if count else ""


def chosen_videos(
    sized: Sequence[Tuple[Video, int]], most: int = MOST_VIDEOS, most_bytes: int = MOST_VIDEO_BYTES
) -> List[Video]:
    """Return the best, the latest, and of the others as many as fit, spread over the job; oldest first.

    Args:
        sized: videos, oldest first, each with its size in bytes.
    """
    videos = [video for video, _ in sized]
    wanted = [_best(videos), videos[-1], videos[0]]
    # Halves, quarters, eighths … of the job: those that fit before the space is full lie evenly.
    for parts in (2**n for n in range(1, 1 + max(1, len(videos).bit_length()))):
        wanted += [videos[len(videos) * i // parts] for i in range(1, parts, 2)]
    chosen: Set[Video] = set()
    sizes = dict(sized)
    for video in dict.fromkeys(wanted):
        if len(chosen) < most and sizes[video] <= most_bytes:
            chosen.add(video)
            most_bytes -= sizes[video]
    return [video for video in videos if video in chosen]


def _best(videos: Sequence[Video]) -> Video:
    return max(videos, key=lambda video: (-math.inf if video.reward is None else video.reward, video.iteration))
