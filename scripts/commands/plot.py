"""`scripts/plot`: curves of jobs, also of those that run, in the terminal and as a PNG."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import Any, Callable, List, Sequence

from rl_app.errors import UserError
from rl_app.files import atomic_write
from scripts.lib import aws, cli, curves, environments, jobs, stores, training_jobs
from scripts.lib.curves import AXES, REWARD, Curve
from scripts.lib.environments import ROOT
from scripts.lib.wording import short_path

EXAMPLES = """
examples:
  scripts/plot first                          in the terminal, and as runs/first.png
  scripts/plot first second -o both.png       one over the other
  scripts/plot cartpole-2026-01-31-12-00-00 --cloud     a job of SageMaker's, from its metrics in CloudWatch
  scripts/plot first --by time                over the seconds of training; also: steps, iteration
  scripts/plot first --metric entropy         another number of each iteration; so kl, vf_loss, evaluation_reward_mean

The line is the mean reward of the last episodes, the band goes from the lowest to the highest of them.
--metric takes any column of the job's metrics.jsonl, and says which there are where it does not know one.
Exit status: 0 done, 1 failed, 2 refused.
"""

COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown", "tab:pink", "tab:olive")
TERMINAL_COLOURS = ("blue", "orange", "green", "red", "magenta", "cyan", "gray")
HEIGHT = 20  # lines of the curve in a terminal


@cli.command
def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Draw the jobs; return the exit status."""
    options = parse(arguments)
    environments.become_host()
    names = list(dict.fromkeys(options.jobs))
    with cli.translate_disk_errors(options.output or "runs"):
        if options.cloud:
            session = open_session()
            found = [training_jobs.find(name, session) for name in names]
            drawn = [curves.of_cloud(job, options.by, session, options.metric) for job in found]
        else:
            drawn = [curves.read(jobs.find(name, options.store), options.by, options.metric) for name in names]
        file = Path(options.output or ROOT / "runs" / default_name(drawn, options.metric))
        check_output(file)
        draw_png(drawn, AXES[options.by][1], options.metric, file)
        draw_terminal(drawn, AXES[options.by][1], options.metric)
        print(short_path(file.absolute()))
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.parser(
        "plot", "Draw the curves of jobs, in the terminal and as a PNG: of the reward, or of another metric.", EXAMPLES
    )
    parser.add_argument("jobs", nargs="+", metavar="JOB", help="the jobs' names; `scripts/jobs` lists them")
    parser.add_argument("-o", dest="output", metavar="FILE.png", help="default: runs/JOB.png")
    parser.add_argument("--by", choices=list(AXES), default="steps", help="what the curve is drawn over")
    parser.add_argument("--metric", metavar="NAME", default=REWARD, help=f"what is drawn; default: {REWARD}")
    stores.declare(parser)
    return parser.parse_intermixed_args(list(arguments))


def check_output(file: Path) -> None:
    """Refuse a name that matplotlib would make another kind of file of, or that no file can have."""
    if file.suffix != ".png":
        raise UserError(f"-o {file}: must end with .png")
    if file.parent.exists() and not file.parent.is_dir():
        raise UserError(f"-o {file}: {file.parent} is not a directory")


def default_name(drawn: Sequence[Curve], metric: str) -> str:
    """Name the picture's file, of the jobs' names and of what is drawn, where that is not the reward."""
    what = "" if metric == REWARD else f"-{metric.replace('/', '-')}"
    return f"{'+'.join(curve.name for curve in drawn)[:100]}{what}.png"


def goals(drawn: Sequence[Curve]) -> List[float]:
    """List the goals of the curves, each once."""
    return sorted({curve.goal for curve in drawn if curve.goal is not None})


def draw_png(drawn: Sequence[Curve], axis: str, metric: str, file: Path) -> None:
    """Write the picture, whole or not at all."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5), dpi=120, layout="constrained")
    for number, curve in enumerate(drawn):
        colour = COLOURS[number % len(COLOURS)]
        axes.fill_between(curve.at, curve.least, curve.greatest, color=colour, alpha=0.15, linewidth=0)
        marker = "o" if len(curve.at) == 1 else None
        axes.plot(curve.at, curve.mean, color=colour, label=curve.name, marker=marker)
    for reward in goals(drawn):
        axes.axhline(reward, color="black", linestyle="--", linewidth=1, label=f"goal: {reward:g}")
    axes.set_xlabel(axis)
    axes.set_ylabel("episode reward: mean, min to max" if metric == REWARD else metric)
    axes.xaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.0f}"))
    axes.grid(alpha=0.3)
    axes.legend()
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with atomic_write(file) as beside:
            figure.savefig(beside, format="png")
    finally:
        pyplot.close(figure)


def short(value: float) -> str:
    """Write a number with two decimals, unless it is so small that they would hide it."""
    return f"{value:.2f}" if value == 0 or abs(value) >= 0.1 else f"{value:.3g}"


def draw_terminal(drawn: Sequence[Curve], axis: str, metric: str) -> None:
    """Print the curves as wide as the terminal; in colour where it is one."""
    import plotext

    plot: Any = plotext
    plot.clear_figure()
    plot.plot_size(min(shutil.get_terminal_size().columns, 120), HEIGHT)
    for number, curve in enumerate(drawn):
        colour = TERMINAL_COLOURS[number % len(TERMINAL_COLOURS)]
        plot.plot(curve.at, curve.mean, label=f"{curve.name}: {short(curve.mean[-1])}", color=colour)
        if len(drawn) == 1 and curve.least != curve.greatest:
            for label, values in (("min", curve.least), ("max", curve.greatest)):
                plot.scatter(curve.at, values, label=label, marker="dot", color="gray")
    for reward in goals(drawn):
        plot.horizontal_line(reward, color="gray")
    plot.title(f"{metric}{''.join(f', goal {reward:g}' for reward in goals(drawn))}")
    plot.xlabel(axis)
    coloured = sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")
    plot.theme("pro" if coloured else "clear")
    picture = plot.build()
    print(picture if coloured else plot.uncolorize(picture))
