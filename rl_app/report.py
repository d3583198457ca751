"""``report.html``: a job in one file that needs no network, for people to look at while it runs and after.

Text, tables and videos are HTML written here, every value escaped; the curves are drawn by ``report.js`` from
data in the page. By its content security policy the page forbids itself any request, and any other script.
"""

from __future__ import annotations

import base64
import json
import math
import os
import platform
import socket
import time
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from rl_app import algorithms, export, metrics
from rl_app.hyperparameters import Job
from rl_app.machine import Machine, memory
from rl_app.metrics import Row
from rl_app.pages import UNKNOWN, content_security_policy, definitions, embedded, number, text, tile
from rl_app.videos import Video, found

REPORT = "report.html"
FACTS = "facts.json"
VIDEOS = "videos"

# How much a page holds, so that it opens at once on a phone and is quick to upload time and again.
MOST_POINTS = 500
MOST_VIDEOS = 12
MOST_VIDEO_BYTES = 8 * 1024 * 1024

# How often a page is written anew: every two seconds, a twentieth of the time, a mebibyte a second at most.
SHORTEST_INTERVAL_S = 2.0
SHARE_OF_TIME = 0.05
BYTES_PER_S = 1024 * 1024

RUNNING, DONE, STOPPED, FAILED = "running", "done", "stopped", "failed"


class Outcome(NamedTuple):
    """What became of the job: ``state`` is RUNNING, DONE, STOPPED or FAILED; ``ended`` is in Unix seconds."""

    state: str = RUNNING
    reason: str = ""
    ended: Optional[float] = None


STILL_RUNNING = Outcome()


class Section(NamedTuple):
    """A titled part of the page; ``body`` is HTML, with whatever a user wrote escaped in it."""

    title: str
    body: str


def facts(job: Job, machine: Machine, name: str) -> Dict[str, Any]:
    """What is known of a job when it starts, as JSON data: all that the report says besides numbers.

    Args:
        name: of the training job.
    """
    trial = job.trial
    return {
        "job": name,
        "experiment": job.settings.experiment,
        "algorithm": trial["run"],
        "env": trial["env"],
        "stop": dict(trial["stop"]),
        "settings": differences(trial["config"], algorithms.default_config(trial["run"])),
        "seed": job.settings.seed,
        "versions": export.versions(),
        "machine": machine_facts(machine),
        "host": socket.gethostname(),
        "started": time.time(),
    }


def machine_facts(machine: Machine) -> Dict[str, Any]:
    """What the report says of the machine."""
    return {
        "CPUs": machine.cpus,
        "GPUs": machine.gpus,
        "memory": f"{memory() / 1024**3:.1f} GiB",
        "system": platform.platform(),
    }


def differences(
    config: Mapping[str, Any], defaults: Mapping[str, Any], path: str = "config"
) -> List[Tuple[str, Any, Any]]:
    """The settings in ``config`` that differ from ``defaults``, as (path, value, default), sorted by path."""
    found_: List[Tuple[str, Any, Any]] = []
    for key, value in sorted(config.items()):
        default = defaults.get(key)
        if isinstance(value, Mapping) and (isinstance(default, Mapping) or default is None):
            found_ += differences(value, default or {}, f"{path}.{key}")
        elif value != default:
            found_.append((f"{path}.{key}", value, default))
    return found_


class Live:
    """The report of a directory that has ``facts.json``, ``metrics.jsonl`` and ``videos/``."""

    def __init__(self, directory: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._clock = clock
        self._shown: Any = None
        self._next = -math.inf

    def refresh(self) -> bool:
        """Writes the report of the running job, where something new is to be seen and the last is old enough.

        Returns:
            Whether it was written.
        """
        seen = [_stamp(self._directory / name) for name in (FACTS, "metrics.jsonl", VIDEOS)]
        if seen == self._shown or self._clock() < self._next:
            return False
        begun = self._clock()
        size = write(self._directory, STILL_RUNNING)
        took = self._clock() - begun
        self._shown = seen
        self._next = begun + max(SHORTEST_INTERVAL_S, took / SHARE_OF_TIME, size / BYTES_PER_S)
        return True


def _stamp(path: Path) -> Optional[Tuple[int, int]]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size


def write(directory: Path, outcome: Outcome) -> int:
    """Writes ``report.html`` from what lies beside it; returns its size in bytes."""
    known = json.loads((directory / FACTS).read_text())
    page = render(known, metrics.read(directory), found(directory / VIDEOS), outcome).encode()
    beside = directory / f".tmp-{REPORT}"
    beside.write_bytes(page)
    os.replace(beside, directory / REPORT)
    return len(page)


def render(
    known: Mapping[str, Any],
    rows: Sequence[Row],
    videos: Sequence[Video],
    outcome: Outcome = STILL_RUNNING,
    extra: Sequence[Section] = (),
) -> str:
    """The page.

    Args:
        known: of :func:`facts`.
        rows: of :mod:`rl_app.metrics`, oldest first.
        videos: oldest first.
        extra: further sections, shown below the curves.
    """
    now = outcome.ended or time.time()
    sections = [
        *_curves(rows),
        *extra,
        *_videos(videos),
        *_time(known["started"], rows, outcome),
        Section("Stop conditions", _stop_table(known["stop"], rows)),
        Section("Settings that differ from RLlib's defaults", _settings_table(known)),
        Section("Made with", definitions({"seed": known["seed"], **known["versions"]})),
        Section("Machine", definitions({"host": known["host"], **known["machine"]})),
    ]
    label, text = verdict(known["stop"], rows, outcome)
    return page(
        Headline(
            title=str(known["experiment"]),
            what=f"{known['algorithm']} on {known['env']}",
            job=str(known["job"]),
            started=known["started"],
            written=f"{'as of' if outcome.state == RUNNING else 'ended'} {_date(now)}",
            state=label,
            verdict=text,
        ),
        _tiles(known, rows),
        sections,
        {
            "live": outcome.state == RUNNING,
            "goal": known["stop"].get("episode_reward_mean"),
            "points": thinned(rows, MOST_POINTS),
        },
    )


class Headline(NamedTuple):
    """The top of a page, as plain text; ``started`` in Unix seconds, ``state`` a word of :func:`verdict`."""

    title: str
    what: str
    job: str
    started: float
    written: str
    state: str
    verdict: str


def page(
    head: Headline, tiles: Iterable[Tuple[str, str, str]], sections: Iterable[Section], data: Mapping[str, Any]
) -> str:
    """A page of this look: ``tiles`` are (name, value, note), ``data`` is what ``report.js`` draws."""
    script, style = _beside("report.js"), _beside("style.css") + _beside("report.css")
    return Template(_beside("report.html")).substitute(
        policy=content_security_policy(script, style, "media-src data:"),
        title=escape(f"{head.title}: {head.verdict}"),
        experiment=escape(head.title),
        what=escape(head.what),
        job=escape(head.job),
        started=escape(_date(head.started)),
        written=escape(head.written),
        state=head.state,
        verdict=escape(head.verdict),
        tiles="".join(tile(*each) for each in tiles),
        sections="\n".join(f"<section><h2>{escape(title)}</h2>\n{body}</section>" for title, body in sections),
        data=embedded(data),
        script=script,
        style=style,
    )


def _beside(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


# ---- the headline


def verdict(stop: Mapping[str, float], rows: Sequence[Row], outcome: Outcome) -> Tuple[str, str]:
    """The job's state in one word (training, solved, capped, stopped, failed), and in words for people."""
    latest = rows[-1] if rows else {}
    reached = [key for key, limit in stop.items() if latest.get(key) is not None and latest[key] >= limit]
    if outcome.state == FAILED:
        return "failed", f"Failed: {outcome.reason}"
    if outcome.state == STOPPED:
        return "stopped", "Stopped before the end"
    if outcome.state == RUNNING:
        return "training", "Training" if rows else "Starting"
    if "episode_reward_mean" in reached:
        return "solved", f"Solved: mean reward {latest['episode_reward_mean']:,.2f}"
    limits = ", ".join(f"{key} {number(stop[key])}" for key in reached)
    return (
        "capped",
        f"{'Not solved, ended' if 'episode_reward_mean' in stop else 'Ended'} at {limits or 'its limit'}",
    )


def _tiles(known: Mapping[str, Any], rows: Sequence[Row]) -> List[Tuple[str, str, str]]:
    """What is to be seen at first sight: (name, value, note)."""
    latest = rows[-1] if rows else {}
    goal = known["stop"].get("episode_reward_mean")
    best = max(
        (row for row in rows if row["episode_reward_mean"] is not None),
        key=lambda row: float(row["episode_reward_mean"]),
        default={},
    )
    spread = latest.get("episode_reward_std")
    reward_notes = [
        "" if spread is None else f"± {number(spread)}",
        "" if goal is None else f"goal {number(goal)}",
    ]
    return [
        ("mean reward", number(latest.get("episode_reward_mean")), " · ".join(filter(None, reward_notes))),
        (
            "best",
            number(best.get("episode_reward_mean")),
            f"iteration {best['training_iteration']:,}" if best else "",
        ),
        (
            "iterations",
            number(latest.get("training_iteration")),
            _counted(latest.get("episodes_total"), "episodes"),
        ),
        (
            "env steps",
            number(latest.get("timesteps_total")),
            _counted(latest.get("steps_per_s"), "a second"),
        ),
        ("training time", duration(latest.get("time_total_s")), ""),
    ]


# ---- curves


def _curves(rows: Sequence[Row]) -> List[Section]:
    if not rows:
        return [Section("Reward", "<p class=none>No iteration has ended yet.</p>")]
    rewarded = any(row["episode_reward_mean"] is not None for row in rows)
    none = "<p class=none>No episode has ended yet.</p>"
    return [
        Section("Reward", _chart("reward") if rewarded else none),
        Section("Throughput", _chart("throughput")),
    ]


def _chart(name: str) -> str:
    return f'<div class=chart data-chart="{name}"></div>'


def thinned(rows: Sequence[Row], most: int) -> Dict[str, List[Optional[float]]]:
    """At most ``most`` points, as columns; each stands for as many rows, with their whole spread."""
    size = max(1, math.ceil(len(rows) / most))
    buckets = [rows[i : i + size] for i in range(0, len(rows), size)]
    steps = [sum(row["timesteps_this_iter"] or 0 for row in bucket) for bucket in buckets]
    seconds = [sum(row["time_this_iter_s"] or 0 for row in bucket) for bucket in buckets]
    return {
        "iteration": [bucket[-1]["training_iteration"] for bucket in buckets],
        "steps": [bucket[-1]["timesteps_total"] for bucket in buckets],
        "time": [round(bucket[-1]["time_total_s"], 2) for bucket in buckets],
        "mean": _column(buckets, "episode_reward_mean", _mean),
        "deviation": _column(buckets, "episode_reward_std", _mean),
        "low": _column(buckets, "episode_reward_min", min),
        "high": _column(buckets, "episode_reward_max", max),
        "throughput": [round(n / s, 1) if s else None for n, s in zip(steps, seconds)],
    }


def _column(
    buckets: Iterable[Sequence[Row]], key: str, combine: Callable[[List[float]], float]
) -> List[Optional[float]]:
    values = ([row[key] for row in bucket if row[key] is not None] for bucket in buckets)
    return [round(combine(each), 4) if each else None for each in values]


def _mean(values: List[float]) -> float:
    return sum(values) / len(values)


# ---- videos


def _videos(videos: Sequence[Video]) -> List[Section]:
    if not videos:
        return []
    chosen = chosen_videos([(video, video.file.stat().st_size) for video in videos])
    best, latest = _best(videos), videos[-1]
    figures = []
    for video in chosen:
        marks = [word for word, marked in (("best", best), ("latest", latest)) if video == marked]
        reward = "no episode had ended" if video.reward is None else f"mean reward {video.reward:,.2f}"
        caption = " · ".join([f"iteration {video.iteration:,}", reward, *marks])
        figures.append(figure(video.file, caption))
    left_out = len(videos) - len(chosen)
    note = f"<p class=none>{left_out} of {len(videos)} are not in this file but beside it, in {VIDEOS}/.</p>"
    return [Section("Videos", f"<div class=videos>{''.join(figures)}</div>{note if left_out else ''}")]


def figure(file: Path, caption: str) -> str:
    """A video with a caption, as HTML that holds both."""
    source = f"data:video/mp4;base64,{base64.b64encode(file.read_bytes()).decode()}"
    return (
        f'<figure><video controls muted loop playsinline preload=metadata src="{source}"></video>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def chosen_videos(
    sized: Sequence[Tuple[Video, int]], most: int = MOST_VIDEOS, most_bytes: int = MOST_VIDEO_BYTES
) -> List[Video]:
    """The best, the latest, and of the others as many as fit, spread over the job; oldest first.

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


# ---- where the time went


def time_spent(started: float, rows: Sequence[Row], ended: Optional[float]) -> Dict[str, float]:
    """Seconds of this run by what they went into; rows of a run that this one goes on from do not count.

    RLlib's timers are means of one step of the optimizer, of which an iteration may have several.
    """
    ours = [row for row in rows if row["timestamp"] >= math.floor(started)]
    if not ours:
        return {}
    training = sum(row["time_this_iter_s"] for row in ours)
    sampling = _timed(ours, ("sample_time_ms",))
    learning = _timed(ours, ("load_time_ms", "grad_time_ms", "update_time_ms"))
    first, last = ours[0], ours[-1]
    spent = {
        "starting": first["timestamp"] - first["time_this_iter_s"] - started,
        "sampling": sampling,
        "learning": learning,
        "rest of the iterations" if sampling or learning else "iterations": training - sampling - learning,
        "between iterations": last["timestamp"] - first["timestamp"] - (training - first["time_this_iter_s"]),
        "export and last video": (ended or last["timestamp"]) - last["timestamp"],
    }
    return {part: seconds for part, seconds in spent.items() if seconds >= 0.05}


def _timed(rows: Iterable[Row], timers: Sequence[str]) -> float:
    steps = [(row, row["optimizer_steps_this_iter"]) for row in rows if row.get("optimizer_steps_this_iter")]
    return math.fsum(row[timer] * n / 1000 for row, n in steps for timer in timers if row.get(timer) is not None)


def _time(started: float, rows: Sequence[Row], outcome: Outcome) -> List[Section]:
    spent = time_spent(started, rows, outcome.ended)
    if not spent:
        return []
    total, x = sum(spent.values()), 0.0
    bars, legend = [], []
    for i, (part, seconds) in enumerate(spent.items()):
        share = 100 * seconds / total
        bars.append(f'<rect class=part{i} x="{x:.2f}" width="{share:.2f}" height="6"></rect>')
        legend.append(
            f"<tr><td><svg viewBox='0 0 1 1'><rect class=part{i} width=1 height=1></rect></svg>{part}</td>"
            f"<td>{duration(seconds)}</td><td>{share:.0f} %</td></tr>"
        )
        x += share
    bar = f'<svg class=bar viewBox="0 0 100 6" preserveAspectRatio=none aria-hidden=true>{"".join(bars)}</svg>'
    return [Section("Where the time went", f"{bar}<table class=legend>{''.join(legend)}</table>")]


# ---- tables


def _stop_table(stop: Mapping[str, float], rows: Sequence[Row]) -> str:
    latest = rows[-1] if rows else {}
    return table(("at least", "limit", "now"), [(key, number(v), number(latest.get(key))) for key, v in stop.items()])


def _settings_table(known: Mapping[str, Any]) -> str:
    if not known["settings"]:
        return "<p class=none>None.</p>"
    shown = [(path, text(value), text(default)) for path, value, default in known["settings"]]
    return table(("setting", "value", f"default of {known['algorithm']}"), shown)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = "".join(
        f"<tr><td>{_breakable(name)}</td>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
        for name, *cells in rows
    )
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"


def _breakable(name: str) -> str:
    """The name of a setting as HTML; on a phone it is broken between its words."""
    return escape(name).replace(".", ".<wbr>").replace("_", "_<wbr>")


# ---- how values are written


def _counted(value: Optional[float], unit: str) -> str:
    return "" if value is None else f"{value:,.0f} {unit}"


def duration(seconds: Optional[float]) -> str:
    if seconds is None:
        return UNKNOWN
    if seconds < 100:
        return f"{seconds:.1f} s"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours} h {rest // 60:02d} min" if hours else f"{rest // 60} min {rest % 60:02d} s"


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
