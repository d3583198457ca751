"""``report.html`` of a training job: one page, for people to look at while it runs and after.

Its words and tables are in ``training.html``, every value escaped; the curves are drawn by ``charts.js`` from data in
the page. By its content security policy the page forbids itself any request, and any other script.
"""

from __future__ import annotations

import time
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from rl_app.job import metrics
from rl_app.job.metrics import Row
from rl_app.policy.videos import Video
from rl_app.reports import curves, html
from rl_app.reports.figures import figures, left_out
from rl_app.reports.html import Headline, Tile, date, duration, number, text
from rl_app.reports.time_spent import parts

RUNNING, DONE, STOPPED, FAILED = "running", "done", "stopped", "failed"


class Outcome(NamedTuple):
    """What became of the job: ``state`` is RUNNING, DONE, STOPPED or FAILED; ``ended`` is in Unix seconds."""

    state: str = RUNNING
    reason: str = ""
    ended: Optional[float] = None


STILL_RUNNING = Outcome()


def render(
    known: Mapping[str, Any], rows: Sequence[Row], videos: Sequence[Video], outcome: Outcome = STILL_RUNNING
) -> str:
    """Return the page.

    Args:
        known: of :func:`rl_app.reports.facts.facts`.
        rows: of :mod:`rl_app.job.metrics`, oldest first.
        videos: oldest first.
    """
    shown = figures(videos)
    return html.render(
        "training.html",
        _headline(known, rows, outcome),
        {
            "live": outcome.state == RUNNING,
            "goal": known["stop"].get("episode_reward_mean"),
            "points": curves.thinned(rows),
            "more": curves.columns(rows),
        },
        known=known,
        rows=len(rows),
        rewarded=any(row["episode_reward_mean"] is not None for row in rows),
        charts=curves.charts(rows),
        tiles=_tiles(known, rows),
        figures=shown,
        note=left_out(len(videos) - len(shown), len(videos)),
        spent=parts(known["started"], rows, outcome.ended),
        stop=_stop(known["stop"], rows),
        settings=[(path, text(value), text(default)) for path, value, default in known["settings"]],
        made_with={"seed": known["seed"], **known["versions"]},
        machine={"host": known["host"], **known["machine"]},
    )


def _headline(known: Mapping[str, Any], rows: Sequence[Row], outcome: Outcome) -> Headline:
    state, words = verdict(known["stop"], rows, outcome)
    return Headline(
        title=str(known["experiment"]),
        what=f"{known['algorithm']} on {known['env']}",
        job=str(known["job"]),
        started=known["started"],
        written=f"{'as of' if outcome.state == RUNNING else 'ended'} {date(outcome.ended or time.time())}",
        state=state,
        verdict=words,
    )


def verdict(stop: Mapping[str, float], rows: Sequence[Row], outcome: Outcome) -> Tuple[str, str]:
    """Return the job's state in one word (training, solved, capped, stopped, failed), and in words for people."""
    latest = rows[-1] if rows else {}
    reached = metrics.reached(latest, stop)
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


def _tiles(known: Mapping[str, Any], rows: Sequence[Row]) -> List[Tile]:
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
        Tile("mean reward", number(latest.get("episode_reward_mean")), " · ".join(filter(None, reward_notes))),
        Tile(
            "best",
            number(best.get("episode_reward_mean")),
            f"iteration {best['training_iteration']:,}" if best else "",
        ),
        Tile(
            "iterations",
            number(latest.get("training_iteration")),
            _counted(latest.get("episodes_total"), "episodes"),
        ),
        Tile(
            "env steps",
            number(latest.get("timesteps_total")),
            _counted(latest.get("steps_per_s"), "a second"),
        ),
        Tile("training time", duration(latest.get("time_total_s"))),
    ]


def _counted(value: Optional[float], unit: str) -> str:
    return "" if value is None else f"{value:,.0f} {unit}"


def _stop(stop: Mapping[str, float], rows: Sequence[Row]) -> List[Tuple[str, str, str]]:
    latest = rows[-1] if rows else {}
    return [(key, number(limit), number(latest.get(key))) for key, limit in stop.items()]
