"""`scripts/plot`: reward curves of jobs, also of those that run, in the terminal and as a PNG."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, List, Optional, Sequence

from rl_app import hyperparameters, metrics
from rl_app.errors import JobError, UserError
from scripts import archives, aws, cloud, environments, stores
from scripts.environments import ROOT
from scripts.fetching import OUTPUT
from scripts.stores import Job

EXAMPLES = """
examples:
  scripts/plot first                          in the terminal, and as runs/first.png
  scripts/plot first second -o both.png       one over the other
  scripts/plot cartpole-2026-01-31-12-00-00 --cloud     a job of SageMaker's, from its metrics in CloudWatch
  scripts/plot first --by time                over the seconds of training; also: steps, iteration

The line is the mean reward of the last episodes, the band goes from the lowest to the highest of them.
Exit status: 0 done, 1 failed, 2 refused.
"""

AXES = {
    "steps": ("timesteps_total", "environment steps"),
    "time": ("time_total_s", "seconds of training"),
    "iteration": ("training_iteration", "iteration"),
}
WHERE = ("output/intermediate", "output/data", "checkpoints")
COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown", "tab:pink", "tab:olive")
TERMINAL_COLOURS = ("blue", "orange", "green", "red", "magenta", "cyan", "gray")
HEIGHT = 20  # lines of the curve in a terminal


@dataclass(frozen=True)
class Curve:
    """A job's rewards: of each row that has one, where it is on the axis, and the mean, least and greatest."""

    name: str
    at: List[float]
    mean: List[float]
    least: List[float]
    greatest: List[float]
    goal: Optional[float]


def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Draws the jobs; returns the exit status."""
    options = parse(arguments)
    try:
        environments.become_host()
        names = list(dict.fromkeys(options.jobs))
        if options.cloud:
            session = open_session()
            curves = [of_cloud(cloud.find(name, session), options.by, session) for name in names]
        else:
            curves = [read(stores.find(name, options.store), options.by) for name in names]
        file = Path(options.output or ROOT / "runs" / f"{'+'.join(curve.name for curve in curves)[:100]}.png")
        check_output(file)
        draw_png(curves, AXES[options.by][1], file)
        draw_terminal(curves, AXES[options.by][1])
        print(stores.shown(file.absolute()))
    except (UserError, JobError, environments.SetUpError) as error:
        print(error, file=sys.stderr)
        return error.errno
    except OSError as error:
        print(f"{error.filename or options.output or 'runs'}: {error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/plot",
        description="Draw the reward curves of jobs, in the terminal and as a PNG.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("jobs", nargs="+", metavar="JOB", help="the jobs' names; `scripts/jobs` lists them")
    parser.add_argument("-o", dest="output", metavar="FILE.png", help="default: runs/JOB.png")
    parser.add_argument("--by", choices=list(AXES), default="steps", help="what the curve is drawn over")
    stores.add_place(parser)
    return parser.parse_intermixed_args(list(arguments))


def check_output(file: Path) -> None:
    """Refuses a name that matplotlib would make another kind of file of, or that no file can have."""
    if file.suffix != ".png":
        raise UserError(f"-o {file}: must end with .png")
    if file.parent.exists() and not file.parent.is_dir():
        raise UserError(f"-o {file}: {file.parent} is not a directory")


def of_cloud(job: Job, by: str, session: Any) -> Curve:
    """The curve of a job of SageMaker's: CloudWatch's, else that of the job's own files. Raises UserError, JobError."""
    rows = cloud.curve(job, aws.client(session, "cloudwatch"))
    return read(job, by, rows) if rows else read(job, by)


def read(job: Job, by: str, rows: Optional[Sequence[metrics.Row]] = None) -> Curve:
    """The job's curve as far as it has come, from its own files where no ``rows`` are given.

    Raises:
        UserError: it has no metrics, or no reward among them yet.
    """
    axis = AXES[by][0]
    try:
        # not every row has a reward: an episode may take longer than an iteration
        given = rows_of(job) if rows is None else rows
        rows = [row for row in given if row.get(axis) is not None and row.get("episode_reward_mean") is not None]
        at, mean, least, greatest = (
            [float(row[key]) for row in rows]
            for key in (axis, "episode_reward_mean", "episode_reward_min", "episode_reward_max")
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{job.name}: its metrics.jsonl cannot be read: {error!r}") from None
    if not rows:
        raise UserError(f"{job.name}: no episode has ended yet, so there is no reward to draw")
    return Curve(job.name, at, mean, least, greatest, goal(job))


def rows_of(job: Job) -> List[metrics.Row]:
    """The rows of metrics.jsonl: the live ones, else those of the final output; raises UserError."""
    with tempfile.TemporaryDirectory() as folder:
        for where in WHERE:
            try:
                job.store.download(f"{job.name}/{where}/metrics.jsonl", Path(folder) / "metrics.jsonl")
                return metrics.read(Path(folder))
            except FileNotFoundError:
                continue
        try:
            job.store.download(f"{job.name}/{OUTPUT}", Path(folder) / "output.tar.gz")
        except FileNotFoundError:
            raise UserError(f"{job.name}: {job.place.name} has no metrics.jsonl of it yet") from None
        archives.unpack(Path(folder) / "output.tar.gz", Path(folder) / "data")
        return metrics.read(Path(folder) / "data")


def goal(job: Job) -> Optional[float]:
    """The reward at which the job stops; None where it has none, or runs what is not known here."""
    for where in WHERE:
        try:
            stop = json.loads(job.store.read(f"{job.name}/{where}/facts.json"))["stop"]
            return float(stop["episode_reward_mean"])
        except (FileNotFoundError, JobError, ValueError, KeyError, TypeError):
            continue
    given = {key: str(value).strip('"') for key, value in (job.record.get("HyperParameters") or {}).items()}
    try:
        stop = hyperparameters.parse(given, machine=None).trial["stop"] if given else {}
    except UserError:
        return None
    reward: Optional[float] = stop.get("episode_reward_mean")
    return reward


def goals(curves: Sequence[Curve]) -> List[float]:
    """The goals of the curves, each once."""
    return sorted({curve.goal for curve in curves if curve.goal is not None})


def draw_png(curves: Sequence[Curve], axis: str, file: Path) -> None:
    """Writes the picture, whole or not at all."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5), dpi=120, layout="constrained")
    for number, curve in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        axes.fill_between(curve.at, curve.least, curve.greatest, color=colour, alpha=0.15, linewidth=0)
        marker = "o" if len(curve.at) == 1 else None
        axes.plot(curve.at, curve.mean, color=colour, label=curve.name, marker=marker)
    for reward in goals(curves):
        axes.axhline(reward, color="black", linestyle="--", linewidth=1, label=f"goal: {reward:g}")
    axes.set_xlabel(axis)
    axes.set_ylabel("episode reward: mean, min to max")
    axes.xaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.0f}"))
    axes.grid(alpha=0.3)
    axes.legend()
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".tmp-{os.getpid()}-{file.name}")
    try:
        figure.savefig(beside, format="png")
        os.replace(beside, file)
    finally:
        pyplot.close(figure)
        if beside.exists():
            beside.unlink()


def draw_terminal(curves: Sequence[Curve], axis: str) -> None:
    """Prints the curves as wide as the terminal; in colour where it is one."""
    import plotext

    plot: Any = plotext
    plot.clear_figure()
    plot.plot_size(min(shutil.get_terminal_size().columns, 120), HEIGHT)
    for number, curve in enumerate(curves):
        colour = TERMINAL_COLOURS[number % len(TERMINAL_COLOURS)]
        plot.plot(curve.at, curve.mean, label=f"{curve.name}: {curve.mean[-1]:.2f}", color=colour)
        if len(curves) == 1:
            for label, values in (("min", curve.least), ("max", curve.greatest)):
                plot.scatter(curve.at, values, label=label, marker="dot", color="gray")
    for reward in goals(curves):
        plot.horizontal_line(reward, color="gray")
    plot.title(f"episode_reward_mean{''.join(f', goal {reward:g}' for reward in goals(curves))}")
    plot.xlabel(axis)
    plot.theme("clear" if not sys.stdout.isatty() else "pro")
    picture = plot.build()
    print(picture if sys.stdout.isatty() else plot.uncolorize(picture))
