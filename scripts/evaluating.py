"""`scripts/evaluate`: episodes with one trained model or several, in Docker or as a process on this machine."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Callable, Dict, List, NoReturn, Optional, Sequence

from rl_app import hyperparameters, sagemaker
from rl_app.errors import UserError
from scripts import engine, environments, stores

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
        if choose(options) == "docker":
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


def models(options: argparse.Namespace) -> List[str]:
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
    for path in ([options.source] if options.source else []) + [each for each in models(options) if is_path(each)]:
        if not os.path.exists(path):
            raise UserError(f"{path}: there is no such file or directory")


def is_path(model: str) -> bool:
    """Whether a word means a file or directory of this machine, not a job or a URL."""
    return "://" not in model and (os.path.exists(model) or "/" in model or model.endswith(".gz"))


def choose(options: argparse.Namespace) -> str:
    """The engine to run on, which it says, and why; raises UserError for one that cannot be had."""
    folder = options.store and "://" not in options.store
    if options.engine == "docker" and folder:
        raise UserError(f"--engine docker: --store {options.store} is a directory of this machine")
    made_in = options.engine or ("process" if folder else None if options.store else where(models(options)))
    reason = None if made_in == "process" else engine.why_not()
    if made_in == "docker" and reason:
        raise UserError(f"the model is in the MinIO of docker-compose.yml: {reason}")
    kind = made_in or ("process" if reason else "docker")
    if not options.engine:
        note(f"evaluating in {'a process' if kind == 'process' else 'Docker'}{f': {reason}' if reason else ''}")
    return kind


def where(names: Sequence[str], root: Path = environments.ROOT) -> Optional[str]:
    """The engine in whose store the jobs are, or the newest job of all; None where no job tells.

    Raises:
        UserError: there is no such job, or they are in different stores.
    """
    jobs = [name for name in names if "://" not in name and not is_path(name)]
    if names and not jobs:
        return None
    runs = stores.open_runs(os.environ, root)
    if jobs and all(stores.look_up(name, runs) for name in jobs):
        return "process"  # without asking MinIO, for which boto3 may have to be installed first
    found = [stores.find(name, root=root) for name in jobs] if jobs else newest(root)
    places: Dict[str, str] = {job.place.name: job.name for job in found}
    if len(places) > 1:
        told = " and ".join(f"{name} in {place}" for place, name in places.items())
        raise UserError(f"{told}: models of different stores are compared from their files, which scripts/fetch gets")
    return None if not places else "docker" if stores.COMPOSE in places else "process"


def newest(root: Path) -> List[stores.Job]:
    """The newest job with a model in any store of this machine, if there is one."""
    trained = [job for place in stores.open_places(root=root).open for job in stores.jobs(place) if has_model(job)]
    return sorted(trained, key=stores.began)[-1:]


def has_model(job: stores.Job) -> bool:
    """Whether it is a completed training job."""
    return job.state == "Completed" and "ModelArtifacts" in job.record


def mounts(options: argparse.Namespace) -> List[str]:
    """What of this machine the container has to see."""
    return [path for path in [*models(options), options.source] if path and is_path(path)]


def job_words(options: argparse.Namespace, placed: Callable[[str], str]) -> List[str]:
    """The same request for `rl_app local evaluate`, elsewhere; ``placed`` says where files are there."""
    words = [placed(model) if is_path(model) else model for model in models(options)] + settings(options)
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


def note(line: str) -> None:
    """Says something beside the results."""
    print(line, file=sys.stderr, flush=True)
