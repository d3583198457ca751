"""`scripts/stop`: asks a job to stop, wherever it runs; it saves and exports before it ends."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import Any, Callable, Optional, Sequence

from rl_app import machine, sagemaker
from rl_app.errors import JobError, UserError
from scripts import aws, cloud, engine, stores, watching
from scripts.environments import ROOT, SetUpError
from scripts.stores import Job

SPACE = "echo $(cat /proc/sys/kernel/random/boot_id)/$(stat -L -c %i /proc/self/ns/pid)"
"""What machine.process_space() says, in the words of a shell."""

EXAMPLES = """
examples:
  scripts/stop cartpole-2026-01-31-12-00-00           the job has two minutes to save its model
  scripts/stop cartpole-2026-01-31-12-00-00 --wait    and is followed until it has
  scripts/stop first --store runs                     a job of scripts/train, in this store

A job is looked for in the stores of this machine, then on SageMaker. What it has learned is kept:
`scripts/train --resume JOB` goes on with a job of this machine.
Exit status: 0 asked (with --wait: ended), 1 failed, 2 refused.
"""


def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Stops one job; returns the exit status."""
    options = parse(arguments)
    try:
        sagemaker.check_job_name(options.job)
        job = None if options.cloud else watching.local_job(options.job, options.store)
        status = stop_here(job, options.wait) if job else stop_there(options.job, options.wait, open_session())
    except (UserError, JobError, SetUpError) as error:
        print(error, file=sys.stderr)
        return error.errno
    except KeyboardInterrupt:
        return 130
    return 130 if status == 130 else 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/stop",
        description="Stop a job, on this machine or on SageMaker.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("job", metavar="JOB", help="the job's name")
    parser.add_argument("--wait", action="store_true", help="follow the job until it has ended")
    stores.add_place(parser)
    return parser.parse_args(list(arguments))


def asked(name: str) -> None:
    """Says that the job knows."""
    aws.note(f"{name} is being stopped; it has two minutes to save its checkpoint and model")


# ---- a job of SageMaker's ----


def stop_there(name: str, wait: bool, session: Any) -> int:
    """Asks SageMaker to stop the job, unless it has ended; returns what following it does.

    Raises:
        UserError, JobError: AWS does not do it.
    """
    service = aws.client(session, "sagemaker")
    job = cloud.describe(name, service)
    if job["TrainingJobStatus"] in watching.ENDED:
        aws.note(f"{name} has ended already: {watching.state_of(job)}")
        return 0
    with aws.told(f"job {name}"):
        service.stop_training_job(TrainingJobName=name)
    asked(name)
    return watching.follow_cloud(name, session) if wait else 0


# ---- a job of this machine ----


def stop_here(job: Job, wait: bool) -> int:
    """Asks the job's own process to stop it, unless it has ended; returns what following it does.

    Raises:
        UserError: it runs on another machine, or as another user.
    """
    if job.state in watching.ENDED:
        aws.note(f"{job.name} has ended already: {watching.state_of(job.record)}")
        return 0
    if job.silent_s is not None:
        aws.note(f"{job.name} has died: no sign of life for {job.silent_s:.0f} s")
        return 0
    local = job.record["Local"]
    pid, started = next(iter(local["Processes"].items()))  # the one that plays SageMaker
    if local["Space"] == own_space():
        stop_process(job.name, int(pid), started)
    else:
        container = container_in(local["Space"])
        if container is None:
            raise UserError(f"{job.name}: it does not run on this machine: `kill {pid}` on {local['Host']} stops it")
        engine.quietly(["docker", "kill", "--signal", "TERM", container])
    asked(job.name)
    return watching.follow_local(job) if wait else 0


def own_space() -> Optional[str]:
    """Where this machine's processes are; None where there is no Linux, and jobs run in containers only."""
    return machine.process_space() if Path("/proc/self/ns/pid").exists() else None


def stop_process(name: str, pid: int, started: Optional[str]) -> None:
    """Sends SIGTERM to the job's process, unless its number is another's by now; raises UserError."""
    if machine.started_at(pid) != started:
        raise UserError(f"{name}: its process {pid} has ended; `scripts/train --resume {name}` goes on")
    try:
        os.kill(pid, signal.SIGTERM)
    except PermissionError:
        raise UserError(f"{name}: process {pid} is another user's, who can stop it") from None


def container_in(space: str) -> Optional[str]:
    """The container of this clone's compose services whose processes these are; None where there is none."""
    ours = ("--filter", f"label=com.docker.compose.project.working_dir={ROOT}")
    running = engine.answer(["docker", "ps", "--quiet", *ours]).split()
    return next((each for each in running if engine.answer(["docker", "exec", each, "sh", "-c", SPACE]) == space), None)
