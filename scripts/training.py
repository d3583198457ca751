"""`scripts/train`: one training job, in Docker or as a process on this machine."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Callable, List, NoReturn, Optional, Sequence

from rl_app import hyperparameters, sagemaker, source
from rl_app.errors import UserError
from rl_app.experiments import EXPERIMENTS
from scripts import engine, environments

EXAMPLES = """
examples:
  scripts/train                                        the default experiment, CartPole
  scripts/train cartpole-aws                           another one, with its own settings
  scripts/train config.lr=0.001 stop.episode_reward_mean=195 seed=3
  scripts/train --job first --engine process           without Docker; everything is left in runs/first
  scripts/train catch --gpu                            in the GPU image, with all the GPUs that there are
  scripts/train --resume first max_run=600             go on from its newest checkpoint
  scripts/train --store s3://bucket/prefix             leave everything in another store
  scripts/train corridor --source examples/corridor    an environment and an experiment of your own
  scripts/train --program examples/program/random_search.py tries=50     a program of your own, in the same image

KEY is a hyperparameter's name, with or without `rl.training.` before it; VALUE is JSON or text.
Without --store the job is kept in runs/ (process), or in the MinIO that docker-compose.yml starts (docker).
The environment is asked where an argument is not given: EXPERIMENT, HYPERPARAMETERS, JOB, STORE.
Exit status: 0 done, 1 failed, 2 refused, 130 or 143 stopped by a signal.
"""


def main(arguments: Sequence[str]) -> int:
    """Checks the job on this machine, then runs it; returns the exit status."""
    options = parse(arguments)
    try:
        check(options)
        if options.gpu:
            check_gpu(options)
        if choose("docker" if options.gpu else options.engine, options.store) == "docker":
            words = ["local", "train", *job_words(options, engine.mounted)]
            return engine.run_service("train-gpu" if options.gpu else "train", words, mounts=own_code(options))
        in_process(job_words(options, os.path.abspath))
    except (UserError, environments.SetUpError) as error:
        print(error, file=sys.stderr)
        return error.errno
    except KeyboardInterrupt:
        return 130


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/train",
        description="Train an experiment; its model, checkpoints, metrics and logs are kept in a store.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="EXPERIMENT | KEY=VALUE",
        help="what to train, and the hyperparameters to change",
    )
    name = parser.add_mutually_exclusive_group()
    name.add_argument("--job", metavar="NAME", help="the job's name; default: the experiment and the time (UTC)")
    name.add_argument("--resume", metavar="NAME", help="go on with this stopped or failed job")
    parser.add_argument(
        "--engine",
        choices=["docker", "process"],
        help="default: docker where an engine answers, else process",
    )
    parser.add_argument("--gpu", action="store_true", help="the GPU image, with this machine's GPUs; Docker only")
    parser.add_argument("--store", metavar="URL", help="s3://BUCKET[/PREFIX], or a directory (process only)")
    code = parser.add_mutually_exclusive_group()
    code.add_argument("--source", metavar="DIR", help="envs.py and experiments.py of your own, and what they import")
    code.add_argument("--program", metavar="FILE", help="a program of your own, in place of the job built in")
    parser.add_argument("--dependency", metavar="DIR", action="append", default=[], help="a package for --program")
    return parser.parse_intermixed_args(list(arguments))


def check(options: argparse.Namespace) -> None:
    """Refuses what the job would refuse, before anything is installed or built; raises UserError."""
    name = options.resume or options.job
    if name:
        sagemaker.check_job_name(name)
    for path in own_code(options):
        if not os.path.exists(path):
            raise UserError(f"{path}: there is no such file or directory")
    if options.program:
        return
    known = source.known_experiments(Path(options.source).resolve()) if options.source else EXPERIMENTS
    asked = hyperparameters.assignments([word for word in options.words if "=" in word])
    experiments = [word for word in options.words if "=" not in word] or [os.environ.get("EXPERIMENT", "")]
    if len(experiments) > 1:
        raise UserError(f"{' and '.join(experiments)}: a job has one experiment, and settings are KEY=VALUE")
    # What an earlier job or the environment adds is known to the job alone, which checks the whole.
    if known is not None and not options.resume and not os.environ.get("HYPERPARAMETERS"):
        experiment = {"experiment": experiments[0]} if experiments[0] else {}
        hyperparameters.parse({**experiment, **asked}, machine=None, experiments=known)


def check_gpu(options: argparse.Namespace) -> None:
    """Refuses a job whose container would get no GPU, before its image is built; raises UserError."""
    without = "without --gpu the CPU trains"
    if options.engine == "process":
        raise UserError(f"--gpu: goes with --engine docker; what trains in a process has no CUDA, and {without}")
    reason = engine.why_not() or engine.why_no_gpu()
    if reason:
        raise UserError(f"--gpu: {reason}; {without}")


def own_code(options: argparse.Namespace) -> List[str]:
    """The files and directories of the user's own that go with the job."""
    return [path for path in (options.source, options.program, *options.dependency) if path]


def choose(wanted: Optional[str], store: Optional[str]) -> str:
    """The engine to run on, which it says, and why; raises UserError for one that cannot be had."""
    folder = f"--store {store} is a directory of this machine" if store and "://" not in store else None
    reason = folder or (engine.why_not() if wanted != "process" else None)
    if wanted == "docker" and reason:
        raise UserError(f"--engine docker: {reason}; --engine process trains without Docker")
    kind = wanted or ("process" if reason else "docker")
    if not wanted:
        note(f"training in a process: {reason}" if reason else "training in Docker (--engine process goes without)")
    return kind


def job_words(options: argparse.Namespace, placed: Callable[[str], str]) -> List[str]:
    """The same request for `rl_app local train`, which runs in another directory; ``placed`` says where files are."""
    store = options.store
    if store and "://" not in store:
        store = os.path.abspath(store)
    words = [*options.words]
    for flag, value in (("--job", options.job), ("--resume", options.resume), ("--store", store)):
        words += [flag, value] if value else []
    dependencies = [("--dependency", path) for path in options.dependency]
    for flag, path in (("--source", options.source), ("--program", options.program), *dependencies):
        words += [flag, placed(path)] if path else []
    return words


def in_process(words: Sequence[str]) -> NoReturn:
    """Becomes the job, in an environment that has all it needs. Raises SetUpError."""
    python = str(environments.ensure([environments.IMAGE]))
    os.chdir(environments.ROOT)
    os.execv(python, [python, "-m", "rl_app", "local", "train", *words])


def note(line: str) -> None:
    """Says something beside the results."""
    print(line, file=sys.stderr, flush=True)
