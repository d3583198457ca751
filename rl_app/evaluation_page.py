"""What an evaluation found, for people: a table on the terminal, and a page in the look of the training's report."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from rl_app.pages import definitions, number
from rl_app.report import Headline, Section, duration, figure, page, table, thinned

COLUMNS = ("n", "mean", "std", "min", "median", "max")
STATES = {"Completed": "solved", "Stopped": "stopped", "Failed": "failed"}
MOST_ROWS = 200
WIDTH, HEIGHT, MARGIN, LEFT = 600, 160, 12, 70

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
        *(Section(f"Episodes of {model['model']}", _drawn(model) + _episodes(model)) for model in models),
        *_videos(models, directory),
        Section("Settings", definitions(settings)),
        *(Section(f"Policy of {model['model']}", definitions(_told(model))) for model in models),
        Section("Made with", definitions(evaluation["versions"])),
        Section("Machine", definitions(evaluation["machine"])),
    ]
    return page(head, _tiles(models[0]), sections, {"live": False, "goal": None, "points": thinned([], 1)})


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


def _compared(evaluation: Found) -> List[Section]:
    if not evaluation["differences"]:
        return []
    head = ("difference, paired by seed", "episodes", "mean", "95 % interval")
    return [Section("Comparison", table(head, _differences(evaluation)))]


def _drawn(model: Found) -> str:
    """A dot an episode in the order of playing, over the mean and its interval."""
    rewards = [episode["reward"] for episode in model["episodes"]]
    if not rewards:
        return "<p class=none>No episode was played to its end.</p>"
    low, high = min(rewards), max(rewards)

    def y(reward: float) -> str:
        share = (min(max(reward, low), high) - low) / (high - low) if high > low else 0.5
        return f"{HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN):.1f}"

    step = (WIDTH - LEFT - MARGIN) / max(1, len(rewards) - 1)
    dots = [
        f'<circle class=dot cx="{LEFT + i * step:.1f}" cy="{y(reward)}" r=3><title>episode {i + 1}: '
        f"{escape(number(reward))}</title></circle>"
        for i, reward in enumerate(rewards)
    ]
    interval = model["confidence_interval"]
    band = ""
    if interval:
        top, bottom = y(interval[1]), y(interval[0])
        height = f"{float(bottom) - float(top):.1f}"
        band = f'<rect class=deviation x=0 width={WIDTH} y="{top}" height="{height}"></rect>'
    mean = f'<line class=curve x1=0 x2={WIDTH} y1="{y(model["mean"])}" y2="{y(model["mean"])}"></line>'
    edges = [f'<text x=2 y="{float(y(edge)) + 4:.1f}">{escape(number(edge))}</text>' for edge in sorted({low, high})]
    inside = f"{band}{mean}{''.join(dots)}{''.join(edges)}"
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
    return table(("episode", "reward", "steps", "seed"), shown) + more


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
