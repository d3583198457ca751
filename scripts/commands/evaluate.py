"""`scripts/evaluate`: episodes with one trained model or several, in Docker or as a process on this machine."""

from __future__ import annotations

import os
import textwrap
from dataclasses import dataclass, fields, replace
from typing import List, Optional, Sequence

from rl_app.job.settings import Evaluation
from rl_app.local import flags, request
from rl_app.local.hints import Caller
from rl_app.local.request import JobRequest
from scripts.lib import cli, compose, engine, models, process

EXAMPLES = """
examples:
  scripts/evaluate                                     the newest completed job's model
  scripts/evaluate first --episodes 100 --seed 7       the same seed gives the same episodes
  scripts/evaluate first deterministic=false           samples of the policy in place of its best action
  scripts/evaluate first second                        compares them on the same seeds
  scripts/evaluate path/to/model.tar.gz                a file, a directory, or s3://BUCKET/…/model.tar.gz
  scripts/evaluate first --restore                     by the agent that Ray restores, from a pickle
  scripts/evaluate aws/model.tar.gz algorithm=PPO      a model that AWS's own launcher made

{settings}
The evaluation is a job too: its report.html, evaluation.json and videos are in its output.tar.gz.
A job is looked for in runs/ and in the MinIO of docker-compose.yml, and evaluated where it was trained.
The environment is asked where an argument is not given: MODEL, HYPERPARAMETERS, JOB, STORE, CHANNELS.
Exit status: 0 done, 1 failed, 2 refused, 130 or 143 stopped by a signal.
"""
SETTINGS = textwrap.fill(f"KEY=VALUE: {', '.join(setting.name for setting in fields(Evaluation))}.", width=110)


@dataclass(frozen=True)
class Start:
    """An evaluation, and on what of this machine it is to run."""

    job: JobRequest
    engine: Optional[str]


@cli.command
def main(arguments: Sequence[str]) -> int:
    """Check the job on this machine, then run it; return the exit status."""
    start = parse(arguments)
    request.check(start.job)
    used = models.choose(start.engine, start.job.store, start.job.models, "evaluating")
    start = replace(start, job=replace(start.job, models=used.models))
    if used.engine == "docker":
        words = ["local", "evaluate", *job_words(start, engine.mounted)]
        return engine.run_service("evaluate", words, mounts=start.job.mounts())
    os.environ.update(used.environ)
    return process.become(["local", "evaluate", *job_words(start, os.path.abspath)])


def parse(arguments: Sequence[str]) -> Start:
    """Read the command line; raises UserError."""
    parser = cli.parser(
        "evaluate",
        "Play episodes with trained models, and say what they are worth.",
        EXAMPLES.format(settings=SETTINGS),
    )
    flags.declare(parser, ["evaluate"])
    models.declare_engine(parser)
    options = flags.read(parser, arguments)
    options.store, options.engine = compose.of_flags(options.store, options.engine)
    return Start(request.parse(options, "evaluate"), options.engine)


def job_words(start: Start, placed: request.Place) -> List[str]:
    """Write the same request for `rl_app local evaluate`, elsewhere; ``placed`` says where files are there."""
    job, (folder, scripts) = start.job, process.typed_in()
    caller = Caller(start.engine, store=job.store, code=job.code_words(), folder=folder, scripts=scripts)
    return [*job.to_words(placed), "--called", caller.to_json()]
