"""What an evaluation found, for people: a table on the terminal, and a page in the look of the training's report."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from rl_app.pages import definitions, number
from rl_app.report import Headline, Section, duration, figure, page, table, thinned

COLUMNS = ("n", "mean", "std", "min", "median", "max")
STATES = {"Completed": "solved", "Stopped": "stopped", "Failed": "failed"}
MOST_ROWS, FEW_ROWS = 200, 10
MOST_DOTS = 1000
WIDTH, HEIGHT, MARGIN, LEFT, LINE = 600, 160, 12, 70, 14

Found = Mapping[str, Any]


def lines(evaluation: Found) -> Iterator[str]:
    """The table of the models' statistics, and below it their differences."""
    interval = "95 % interval of the mean"
    rows = [("", "episodes", *COLUMNS[1:], interval), *(_row(model) for model in evaluation["models"])]
    yield from _aligned(rows)
    if evaluation["differences"]:
        yield ""
        yield from _aligned(
            [("difference, paired by seed", "episodes", "mean", "95 % interval"), *_differences(evaluation)]
        )


def _row(model: Found) -> Tuple[str, ...]:
    return (str(model["model"]), *(number(model[key]) for key in COLUMNS), span(model["confidence_interval"]))


def _differences(evaluation: Found) -> List[Tuple[str, ...]]:
    return [
        (f"{each['model']} - {each['against']}", number(each["n"]), number(each["mean"]), verdict(each))
        for each in evaluation["differences"]
    ]


def verdict(difference: Found) -> str:
    """The interval of a difference, and whether it tells the models apart."""
    interval = difference["confidence_interval"]
    if interval is None:
        return span(interval)
    return f"{span(interval)}{', holds 0' if interval[0] <= 0 <= interval[1] else ''}"


def span(interval: Optional[Sequence[float]]) -> str:
    """An interval in words; "-" where there is none."""
    return "-" if interval is None else f"{number(float(interval[0]))} to {number(float(interval[1]))}"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows)]
    for first, *rest in rows:
        yield "  ".join([first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:]))])


def render(evaluation: Found, directory: Path) -> str:
    """The page; ``directory`` has the videos."""
    models, env = evaluation["models"], evaluation["env"]
    head = Headline(
        title="Evaluation" if len(models) == 1 else "Comparison",
        what=f"{' and '.join(_named(model) for model in models)} in {env['name']}",
        job=str(evaluation["job"]),
        started=evaluation["started"],
        written=f"took {duration(evaluation['time_s'])}",
        state=STATES[evaluation["state"]],
        verdict=_verdict(evaluation),
    )
    settings = {**evaluation["settings"], "env": env["name"], "env_config": env["env_config"]}
    sections = [
        Section("Results", table(("model", "episodes", *COLUMNS[1:], "95 % interval"), map(_row, models))),
        *_compared(evaluation),
        *_videos(models, directory),
        *(
            Section(f"Episodes of {model['model']}", _drawn(model, _extent(models)) + _episodes(model))
            for model in models
        ),
        Section("Settings", definitions(settings)),
        *(Section(f"Policy of {model['model']}", definitions(_told(model))) for model in models),
        Section("Made with", definitions(evaluation["versions"])),
        Section("Machine", definitions(evaluation["machine"])),
    ]
    tiles = _tiles(models[0]) if len(models) == 1 else _tiles_of_all(evaluation)
    return page(head, tiles, sections, {"live": False, "goal": None, "points": thinned([], 1)})


def _named(model: Found) -> str:
    algorithm = model["policy"]["algorithm"]
    return f"{algorithm} ({model['model']})"


def _verdict(evaluation: Found) -> str:
    done = " · ".join(f"{model['model']}: mean reward {number(model['mean'])}" for model in evaluation["models"])
    cut = {"Stopped": "Stopped before the end · ", "Failed": "Failed before the end · "}
    return cut.get(evaluation["state"], "") + done


def _tiles(model: Found) -> List[Tuple[str, str, str]]:
    lengths = [episode["length"] for episode in model["episodes"]]
    return [
        ("mean reward", number(model["mean"]), span(model["confidence_interval"])),
        ("standard deviation", number(model["std"]), ""),
        ("best", number(model["max"]), ""),
        ("worst", number(model["min"]), ""),
        ("episodes", number(model["n"]), f"{sum(lengths):,} steps"),
    ]


def _tiles_of_all(evaluation: Found) -> List[Tuple[str, str, str]]:
    """The models beside each other, then by how much each is better than the first."""
    return [
        *(
            (model["model"], number(model["mean"]), span(model["confidence_interval"]))
            for model in evaluation["models"]
        ),
        *(
            (f"{each['model']} - {each['against']}", number(each["mean"]), verdict(each))
            for each in evaluation["differences"]
        ),
    ]


def _compared(evaluation: Found) -> List[Section]:
    if not evaluation["differences"]:
        return []
    head = ("difference, paired by seed", "episodes", "mean", "95 % interval")
    return [Section("Comparison", table(head, _differences(evaluation)))]


def _extent(models: Sequence[Found]) -> Tuple[float, float]:
    """The least and the largest that any model's drawing has to show, so that all have one scale."""
    shown = [value for model in models for value in _shown(model)]
    return (min(shown), max(shown)) if shown else (0.0, 0.0)


def _shown(model: Found) -> Iterator[float]:
    yield from (episode["reward"] for episode in model["episodes"])
    yield from model["confidence_interval"] or ()


def _drawn(model: Found, extent: Tuple[float, float]) -> str:
    """A dot an episode in the order of playing, over the mean and its interval."""
    rewards, (low, high) = [episode["reward"] for episode in model["episodes"]], extent
    if not rewards:
        return "<p class=none>No episode was played to its end.</p>"

    def y(reward: float) -> float:
        share = (reward - low) / (high - low) if high > low else 0.5
        return HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN)

    step = (WIDTH - LEFT - MARGIN) / max(1, len(rewards) - 1)
    dots = [
        f'<circle class=dot cx="{LEFT + i * step:.1f}" cy="{y(rewards[i]):.1f}" r=3><title>episode {i + 1}: '
        f"{escape(number(rewards[i]))}</title></circle>"
        for i in range(0, len(rewards), math.ceil(len(rewards) / MOST_DOTS))
    ]
    interval, mean = model["confidence_interval"], y(model["mean"])
    band = ""
    if interval:
        bottom, top = map(y, interval)
        band = f'<rect class=deviation x=0 width={WIDTH} y="{top:.1f}" height="{bottom - top:.1f}"></rect>'
    line = f'<line class=curve x1=0 x2={WIDTH} y1="{mean:.1f}" y2="{mean:.1f}"></line>'
    edges = [edge for edge in dict.fromkeys(extent) if abs(y(edge) - mean) > LINE]
    labels = [f'<text x=2 y="{y(edge) + 4:.1f}">{escape(number(float(edge)))}</text>' for edge in edges]
    labels.append(f'<text x=2 y="{max(mean - 4, LINE):.1f}">{escape(number(model["mean"]))}</text>')
    inside = f"{band}{line}{''.join(dots)}{''.join(labels)}"
    drawing = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role=img aria-label="rewards">{inside}</svg>'
    key = "a dot an episode, in the order of playing; the line is their mean, the band its 95 % interval"
    return f"<div class=chart>{drawing}<p class=key>{key}: {escape(model['confidence_interval_method'])}</p></div>"


def _episodes(model: Found) -> str:
    shown = [
        (
            str(i + 1),
            number(episode["reward"]),
            f"{episode['length']:,}{' (cut)' * episode['cut']}",
            str(episode["seed"]),
        )
        for i, episode in enumerate(model["episodes"][:MOST_ROWS])
    ]
    left_out = len(model["episodes"]) - len(shown)
    more = f"<p class=none>and {left_out:,} more, in evaluation.json</p>" if left_out else ""
    rows = table(("episode", "reward", "steps", "seed"), shown) + more
    if len(shown) <= FEW_ROWS:
        return rows
    return f"<details><summary>all {len(model['episodes']):,} episodes</summary>{rows}</details>"


def _videos(models: Sequence[Found], directory: Path) -> List[Section]:
    figures = [
        figure(
            directory / video["file"], f"{model['model']} · episode {video['episode']} · reward {video['reward']:,.2f}"
        )
        for model in models
        for video in model["videos"]
    ]
    return [Section("Videos", f"<div class=videos>{''.join(figures)}</div>")] if figures else []


def _told(model: Found) -> Dict[str, Any]:
    policy = model["policy"]
    training = policy.get("training") or {}
    at = training.get("timestamp")
    return {
        "algorithm": policy["algorithm"],
        "trained in": policy["env"],
        "experiment": training.get("experiment"),
        "iteration": training.get("training_iteration"),
        "mean reward in training": training.get("episode_reward_mean"),
        "trained": datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d %H:%M UTC") if at else None,
        "seed of the training": policy.get("seed"),
        "played by": model["played_by"],
        **{f"trained with {name}": version for name, version in (policy.get("versions") or {}).items()},
    }


def dumped(evaluation: Found) -> str:
    """evaluation.json, in which no number is one that JSON does not know."""
    return json.dumps(evaluation, indent=2, allow_nan=False) + "\n"
