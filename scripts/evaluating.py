"""`scripts/evaluate`: episodes with one trained model or several, in Docker or as a process on this machine."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Callable, List, NoReturn, Sequence

from rl_app import hyperparameters, sagemaker
from rl_app.errors import UserError
from scripts import engine, environments, models

EXAMPLES = """
examples:
  scripts/evaluate                                     the newest completed job's model
  scripts/evaluate first --episodes 100 --seed 7       the same seed gives the same episodes
  scripts/evaluate first deterministic=false           samples of the policy in place of its best action
  scripts/evaluate first second                        compares them on the same seeds
  scripts/evaluate path/to/model.tar.gz                a file, a directory, or s3://BUCKET/…/model.tar.gz
  scripts/evaluate first --restore                     by the agent that Ray restores, from a pickle
  scripts/evaluate aws/model.tar.gz algorithm=PPO      a model that AWS's own launcher made

KEY=VALUE: evaluate_episodes, seed, deterministic, restore, algorithm, env, env_config, max_steps, videos, max_run.
The evaluation is a job too: its report.html, evaluation.json and videos are in its output.tar.gz.
A job is looked for in runs/ and in the MinIO of docker-compose.yml, and evaluated where it was trained.
The environment is asked where an argument is not given: MODEL, HYPERPARAMETERS, JOB, STORE.
Exit status: 0 done, 1 failed, 2 refused, 130 or 143 stopped by a signal.
"""


def main(arguments: Sequence[str]) -> int:
    """Checks the job on this machine, then runs it; returns the exit status."""
    options = parse(arguments)
    try:
        check(options)
        if models.choose(options.engine, options.store, places(options), "evaluating") == "docker":
            words = ["local", "evaluate", *job_words(options, engine.mounted)]
            return engine.run_service("evaluate", words, mounts=mounts(options))
        in_process(job_words(options, os.path.abspath))
    except (UserError, environments.SetUpError) as error:
        print(error, file=sys.stderr)
        return error.errno
    except KeyboardInterrupt:
        return 130


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/evaluate",
        description="Play episodes with trained models, and say what they are worth.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "words", nargs="*", metavar="MODEL | KEY=VALUE", help="a job, an s3:// URL, a model.tar.gz or a directory"
    )
    parser.add_argument("--episodes", metavar="N", help="how many; the same as evaluate_episodes=N")
    parser.add_argument("--seed", metavar="N", help="the same as seed=N")
    parser.add_argument("--restore", action="store_true", help="the same as restore=true")
    parser.add_argument("--job", metavar="NAME", help="the evaluation's own name; default: the model's and the time")
    parser.add_argument(
        "--engine", choices=["docker", "process"], help="default: where the model is; else docker, if one answers"
    )
    parser.add_argument("--store", metavar="URL", help="s3://BUCKET[/PREFIX], or a directory (process only)")
    parser.add_argument(
        "--source", metavar="DIR", help="envs.py of your own, in place of what the job was trained with"
    )
    return parser.parse_intermixed_args(list(arguments))


def places(options: argparse.Namespace) -> List[str]:
    """What is to be evaluated; nothing for the newest job."""
    return [word for word in options.words if "=" not in word] or os.environ.get("MODEL", "").split()


def settings(options: argparse.Namespace) -> List[str]:
    """The words KEY=VALUE, with those of the flags."""
    flags = {"evaluate_episodes": options.episodes, "seed": options.seed, "restore": options.restore and "true"}
    given = [word for word in options.words if "=" in word]
    return given + [f"{key}={value}" for key, value in flags.items() if value]


def check(options: argparse.Namespace) -> None:
    """Refuses what the job would refuse, before anything is installed or built; raises UserError."""
    if options.job:
        sagemaker.check_job_name(options.job)
    hyperparameters.parse_evaluation(hyperparameters.assignments(settings(options), str))
    for path in ([options.source] if options.source else []) + [
        each for each in places(options) if models.is_path(each)
    ]:
        if not os.path.exists(path):
            raise UserError(f"{path}: there is no such file or directory")


def mounts(options: argparse.Namespace) -> List[str]:
    """What of this machine the container has to see."""
    return [path for path in [*places(options), options.source] if path and models.is_path(path)]


def job_words(options: argparse.Namespace, placed: Callable[[str], str]) -> List[str]:
    """The same request for `rl_app local evaluate`, elsewhere; ``placed`` says where files are there."""
    words = [placed(model) if models.is_path(model) else model for model in places(options)] + settings(options)
    store = options.store and (options.store if "://" in options.store else os.path.abspath(options.store))
    source = options.source and placed(options.source)
    for flag, value in (("--job", options.job), ("--store", store), ("--source", source)):
        words += [flag, value] if value else []
    return words


def in_process(words: Sequence[str]) -> NoReturn:
    """Becomes the job, in an environment that has all it needs. Raises SetUpError."""
    python = str(environments.ensure([environments.IMAGE]))
    os.chdir(environments.ROOT)
    os.execv(python, [python, "-m", "rl_app", "local", "evaluate", *words])
