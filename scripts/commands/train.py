"""`scripts/train`: one training job, in Docker or as a process on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import List, Optional, Sequence

from rl_app.errors import UserError
from rl_app.job import sagemaker
from rl_app.local import flags, request
from rl_app.local.hints import Caller
from rl_app.local.request import JobRequest
from rl_app.storage.opening import directory_of
from scripts.lib import cli, compose, engine, environments, jobs, models, process, stores
from scripts.lib.cli import note

EXAMPLES = """
examples:
  scripts/train                                        the default experiment, CartPole
  scripts/train cartpole-aws                           another one, with its own settings
  scripts/train config.lr=0.001 stop.episode_reward_mean=195 seed=3
  scripts/train --job first --engine process           without Docker; everything is left in runs/first
  scripts/train catch --gpu                            in the GPU image, with all the GPUs that there are
  scripts/train --hosts 2                              one job on two hosts, containers of this machine
  scripts/train --resume first max_run=600             go on from its newest checkpoint
  scripts/train --interrupt-after 20s                  what a spot interruption would do to it, and how it goes on
  scripts/train --from first config.lr=0.0001          another job, which begins with the weights of that one
  scripts/train --channel data=episodes run=MARWIL config={} config.input=data    from episodes that are there already
  scripts/train --store s3://bucket/prefix             leave everything in another store
  scripts/train corridor --source examples/corridor    an environment and an experiment of your own
  scripts/train --program examples/program/random_search.py tries=50     a program of your own, in the same image

KEY is a hyperparameter's name, with or without `rl.training.` or `rl.training.config.`; VALUE is JSON or text.
Without --store the job is kept in runs/ (process), or in the MinIO that docker-compose.yml starts (docker).
The environment is asked where an argument is not given: EXPERIMENT, HYPERPARAMETERS, JOB, STORE, CHANNELS.
Exit status: 0 done, 1 failed, 2 refused, 130 or 143 stopped by a signal.
"""


@dataclass(frozen=True)
class Start:
    """A training job, and on what of this machine it is to run."""

    job: JobRequest
    engine: Optional[str]
    gpu: bool
    hosts: int = 1

    @property
    def flag(self) -> str:
        """Return the flag by which it needs Docker."""
        return "--gpu" if self.gpu else f"--hosts {self.hosts}" if self.hosts > 1 else "--engine docker"


@cli.command
def main(arguments: Sequence[str]) -> int:
    """Check the job on this machine, then run it; return the exit status."""
    start = parse(arguments)
    request.check(start.job)
    if start.gpu:
        check_gpu(start.engine)
    needs_docker = start.gpu or start.hosts > 1
    wanted = "docker" if needs_docker else start.engine
    if start.job.models:
        used = models.choose(wanted, start.job.store, start.job.models, "training")
        start, kind = replace(start, job=replace(start.job, models=used.models)), used.engine
        os.environ.update(used.environ)
    else:
        kind = choose(wanted, start.job.store, start.flag, start.job.resume)
    if kind == "docker":
        words = ["local", "train", *job_words(start, engine.mounted)]
        service = "train-gpu" if start.gpu else "train"
        return engine.run_service(service, words, mounts=start.job.mounts(), hosts=start.hosts)
    return process.become(["local", "train", *job_words(start, os.path.abspath)])


def parse(arguments: Sequence[str]) -> Start:
    """Read the command line; raises UserError."""
    parser = cli.parser(
        "train", "Train an experiment; its model, checkpoints, metrics and logs are kept in a store.", EXAMPLES
    )
    flags.declare(parser, ["train"])
    parser.add_argument(
        "--engine",
        choices=["docker", "process"],
        help="default: docker where an engine answers, else process",
    )
    parser.add_argument("--gpu", action="store_true", help="the GPU image, with this machine's GPUs; Docker only")
    parser.add_argument("--hosts", metavar="N", type=int, default=1, help="containers that train one job; Docker only")
    options = flags.read(parser, arguments)
    options.store, options.engine = compose.of_flags(options.store, options.engine)
    check_hosts(options.hosts, options.engine, options.gpu)
    return Start(request.parse(options, "train"), options.engine, options.gpu, options.hosts)


def check_hosts(number: int, wanted: Optional[str], gpu: bool) -> None:
    """Refuse a number of hosts that cannot be had; raises UserError."""
    if number < 1:
        raise UserError(f"--hosts {number}: at least 1")
    if number > 1 and wanted == "process":
        raise UserError(f"--hosts {number}: goes with --engine docker; a process is one host")
    if number > 1 and gpu:
        raise UserError(f"--hosts {number}: not together with --gpu, as this machine's GPUs are one host's")


def check_gpu(wanted: Optional[str]) -> None:
    """Refuse a job whose container would get no GPU, before its image is built; raises UserError."""
    without = "without --gpu the CPU trains"
    if wanted == "process":
        raise UserError(f"--gpu: goes with --engine docker; what trains in a process has no CUDA, and {without}")
    reason = engine.why_not() or engine.why_no_gpu()
    if reason:
        raise UserError(f"--gpu: {reason}; {without}")


def choose(
    wanted: Optional[str], store: Optional[str], flag: str = "--engine docker", resumed: Optional[str] = None
) -> str:
    """Return the engine to run on, which it says, and why; raises UserError for one that cannot be had.

    Args:
        flag: the one that asks for Docker.
        resumed: the job that goes on, if one does: a process's where it ran.
    """
    named, url = ("--store ", store) if store else ("STORE = ", os.environ.get("STORE", ""))
    folder = f"{named}{url} is a directory of this machine" if directory_of(url) else None
    kept = kept_here(resumed) if resumed and not (wanted or store) else None
    reason = folder or kept or (engine.why_not() if wanted != "process" else None)
    if wanted == "docker" and reason:
        without = "--engine process" if flag.startswith("--engine") else f"without {flag.split()[0]} a process"
        raise UserError(f"{flag}: {reason}; {without} trains without Docker")
    kind = wanted or ("process" if reason else "docker")
    if not wanted:
        note(f"training in a process: {reason}" if reason else "training in Docker (--engine process goes without)")
    return kind


def kept_here(name: str, root: Path = environments.ROOT) -> Optional[str]:
    """Say that a job is one of this machine's processes; None where it is not.

    Raises:
        UserError: MinIO has one of this name too.
    """
    sagemaker.check_job_name(name)
    if jobs.look_up(name, stores.open_runs(os.environ, root)) is None:
        return None
    return f"{name} is a job of {jobs.find(name, root=root).kept_in.name}"


def job_words(start: Start, placed: request.Place) -> List[str]:
    """Write the same request for `rl_app local train`, elsewhere; ``placed`` says where files are there."""
    job, (folder, scripts) = start.job, process.typed_in()
    caller = Caller(
        start.engine,
        start.gpu,
        job.store,
        job.code_words(),
        hosts=start.hosts,
        channels=job.channel_words(),
        folder=folder,
        scripts=scripts,
    )
    return [*start.job.to_words(placed), "--called", caller.to_json()]
