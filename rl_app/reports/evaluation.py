"""What an evaluation found, for people: a table on the terminal, and a page in the look of the training's report.

The page's words and drawing are in ``evaluation.html``.
"""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from rl_app.reports import curves, html
from rl_app.reports.figures import Figure
from rl_app.reports.html import Headline, Tile, duration, number

COLUMNS = ("n", "mean", "std", "min", "median", "max")
RESULT_COLUMNS = ("model", "episodes", *COLUMNS[1:], "95 % interval")
DIFFERENCE_COLUMNS = ("difference, paired by seed", "episodes", "mean", "95 % interval")
STATES = {"Completed": "solved", "Stopped": "stopped", "Failed": "failed"}
MOST_ROWS, FEW_ROWS = 200, 10
MOST_DOTS = 1000
WIDTH, HEIGHT, MARGIN, LEFT, LINE = 600, 160, 12, 70, 14

Found = Mapping[str, Any]


def lines(evaluation: Found) -> Iterator[str]:
    """Yield the table of the models' statistics, and below it their differences."""
    interval = "95 % interval of the mean"
    rows = [("", "episodes", *COLUMNS[1:], interval), *(row for model in evaluation["models"] for row in _rows(model))]
    yield from _aligned(rows)
    if evaluation["differences"]:
        yield ""
        yield from _aligned([DIFFERENCE_COLUMNS, *_differences(evaluation)])


def _rows(model: Found) -> Iterator[Tuple[str, ...]]:
    """Yield the row of a model, and below it those of its policies, where it has several."""
    yield _row(str(model["model"]), model)
    for name, found in model.get("policies", {}).items():
        yield _row(f"  policy {name}", found)


def _row(name: str, model: Found) -> Tuple[str, ...]:
    return (name, *(number(model[key]) for key in COLUMNS), span(model["confidence_interval"]))


def _differences(evaluation: Found) -> List[Tuple[str, ...]]:
    return [
        (f"{each['model']} - {each['against']}", number(each["n"]), number(each["mean"]), verdict(each))
        for each in evaluation["differences"]
    ]


def verdict(difference: Found) -> str:
    """Return the interval of a difference, and whether it tells the models apart."""
    interval = difference["confidence_interval"]
    if interval is None:
        return span(interval)
    return f"{span(interval)}{', holds 0' if interval[0] <= 0 <= interval[1] else ''}"


def span(interval: Optional[Sequence[float]]) -> str:
    """Return an interval in words; "-" where there is none."""
    return "-" if interval is None else f"{number(float(interval[0]))} to {number(float(interval[1]))}"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows)]
    for first, *rest in rows:
        yield "  ".join([first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:]))])


def render(evaluation: Found, directory: Path) -> str:
    """Return the page; ``directory`` has the videos."""
    models, env = evaluation["models"], evaluation["env"]
    extent = _extent(models)
    return html.render(
        "evaluation.html",
        _headline(evaluation),
        {"live": False, "goal": None, "points": curves.thinned([]), "more": {}},
        tiles=_tiles(models[0]) if len(models) == 1 else _tiles_of_all(evaluation),
        result_columns=RESULT_COLUMNS,
        results=[row for model in models for row in _rows(model)],
        difference_columns=DIFFERENCE_COLUMNS,
        differences=_differences(evaluation),
        figures=_figures(models, directory),
        models=[
            {"name": model["model"], "drawn": _drawn(model, extent), "policy": _policy(model), **_episodes(model)}
            for model in models
        ],
        settings={**evaluation["settings"], "env": env["name"], "env_config": env["env_config"]},
        versions=evaluation["versions"],
        machine=evaluation["machine"],
    )


def _headline(evaluation: Found) -> Headline:
    models = evaluation["models"]
    return Headline(
        title="Evaluation" if len(models) == 1 else "Comparison",
        what=f"{' and '.join(_named(model) for model in models)} in {evaluation['env']['name']}",
        job=str(evaluation["job"]),
        started=evaluation["started"],
        written=f"took {duration(evaluation['time_s'])}",
        state=STATES[evaluation["state"]],
        verdict=_verdict(evaluation),
    )


def _named(model: Found) -> str:
    algorithm = model["policy"]["algorithm"]
    return f"{algorithm} ({model['model']})"


def _verdict(evaluation: Found) -> str:
    done = " · ".join(f"{model['model']}: mean reward {number(model['mean'])}" for model in evaluation["models"])
    cut = {"Stopped": "Stopped before the end · ", "Failed": "Failed before the end · "}
    return cut.get(evaluation["state"], "") + done


def _tiles(model: Found) -> List[Tile]:
    lengths = [episode["length"] for episode in model["episodes"]]
    return [
        Tile("mean reward", number(model["mean"]), span(model["confidence_interval"])),
        Tile("standard deviation", number(model["std"])),
        Tile("best", number(model["max"])),
        Tile("worst", number(model["min"])),
        Tile("episodes", number(model["n"]), f"{sum(lengths):,} steps"),
    ]


def _tiles_of_all(evaluation: Found) -> List[Tile]:
    """Return the models beside each other, then by how much each is better than the first."""
    return [
        *(
            Tile(model["model"], number(model["mean"]), span(model["confidence_interval"]))
            for model in evaluation["models"]
        ),
        *(
            Tile(f"{each['model']} - {each['against']}", number(each["mean"]), verdict(each))
            for each in evaluation["differences"]
        ),
    ]


def _extent(models: Sequence[Found]) -> Tuple[float, float]:
    """Return the least and the largest that any model's drawing has to show, so that all have one scale."""
    shown = [value for model in models for value in _shown(model)]
    return (min(shown), max(shown)) if shown else (0.0, 0.0)


def _shown(model: Found) -> Iterator[float]:
    yield from (episode["reward"] for episode in model["episodes"])
    yield from model["confidence_interval"] or ()


class Dot(NamedTuple):
    """An episode."""

    x: float
    y: float
    text: str


class Label(NamedTuple):
    """A reward, written at its height."""

    y: float
    text: str


class Band(NamedTuple):
    """The confidence interval."""

    top: float
    bottom: float


class Drawing(NamedTuple):
    """A dot an episode in the order of playing, over the mean and its interval, in the units of the picture."""

    width: int
    height: int
    dots: List[Dot]
    mean: float
    band: Optional[Band]
    labels: List[Label]
    method: str


def _drawn(model: Found, extent: Tuple[float, float]) -> Optional[Drawing]:
    """Return the drawing of the model's episodes on the scale of all; None where none was played to its end."""
    rewards, (low, high) = [episode["reward"] for episode in model["episodes"]], extent
    if not rewards:
        return None

    def y(reward: float) -> float:
        share = (reward - low) / (high - low) if high > low else 0.5
        return HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN)

    step = (WIDTH - LEFT - MARGIN) / max(1, len(rewards) - 1)
    chosen = range(0, len(rewards), math.ceil(len(rewards) / MOST_DOTS))
    dots = [Dot(LEFT + i * step, y(rewards[i]), f"episode {i + 1}: {number(rewards[i])}") for i in chosen]
    interval, mean = model["confidence_interval"], y(model["mean"])
    edges = [edge for edge in dict.fromkeys(extent) if abs(y(edge) - mean) > LINE]
    labels = [Label(y(edge) + 4, number(float(edge))) for edge in edges]
    labels.append(Label(max(mean - 4, LINE), number(model["mean"])))
    band = Band(y(interval[1]), y(interval[0])) if interval else None
    return Drawing(WIDTH, HEIGHT, dots, mean, band, labels, model["confidence_interval_method"])


def _episodes(model: Found) -> Dict[str, Any]:
    """Return the table of the first episodes, which is folded where it is long."""
    shown = [
        (
            str(i + 1),
            number(episode["reward"]),
            f"{episode['length']:,}{' (cut)' * episode['cut']}",
            str(episode["seed"]),
        )
        for i, episode in enumerate(model["episodes"][:MOST_ROWS])
    ]
    total = len(model["episodes"])
    return {"episodes": shown, "total": total, "left_out": total - len(shown), "folded": len(shown) > FEW_ROWS}


def _figures(models: Sequence[Found], directory: Path) -> List[Figure]:
    return [
        Figure(
            directory / video["file"], f"{model['model']} · episode {video['episode']} · reward {video['reward']:,.2f}"
        )
        for model in models
        for video in model["videos"]
    ]


def _policy(model: Found) -> Dict[str, Any]:
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
