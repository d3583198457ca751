"""`scripts/stop`: asks a job to stop, wherever it runs; it saves and exports before it ends."""

from __future__ import annotations

import argparse
import os
import signal
from pathlib import Path
from typing import Any, Callable, Optional, Sequence

from rl_app import machine
from rl_app.errors import UserError
from scripts.lib import aws, cli, engine, following, locating, stores, training_jobs
from scripts.lib.cli import note
from scripts.lib.environments import ROOT
from scripts.lib.jobs import ENDED, Job, state_line

SPACE = "echo $(cat /proc/sys/kernel/random/boot_id)/$(stat -L -c %i /proc/self/ns/pid)"
"""What machine.process_space() says, in the words of a shell."""
FOLDER = "com.docker.compose.project.working_dir"

EXAMPLES = """
examples:
  scripts/stop cartpole-2026-01-31-12-00-00           the job has two minutes to save its model
  scripts/stop cartpole-2026-01-31-12-00-00 --wait    and is followed until it has
  scripts/stop first --store runs                     a job of scripts/train, in this store

A job is looked for in the stores of this machine, then on SageMaker. What it has learned is kept:
`scripts/train --resume JOB` goes on with a job of this machine.
Exit status: 0 asked (with --wait: ended), 1 failed, 2 refused.
"""


@cli.command
def main(arguments: Sequence[str], open_session: Callable[[], Any] = aws.session) -> int:
    """Stop one job; return the exit status."""
    options = parse(arguments)
    job, session = locating.anywhere(options.job, options.store, options.cloud, open_session)
    status = stop_here(job, options.wait) if job else stop_there(options.job, options.wait, session)
    return cli.INTERRUPTED if status == cli.INTERRUPTED else 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.parser("stop", "Stop a job, on this machine or on SageMaker.", EXAMPLES)
    parser.add_argument("job", metavar="JOB", help="the job's name")
    parser.add_argument("--wait", action="store_true", help="follow the job until it has ended")
    stores.declare(parser)
    return parser.parse_args(list(arguments))


def asked(name: str) -> None:
    """Say that the job knows."""
    note(f"{name} is being stopped; it has two minutes to save its checkpoint and model")


# ---- a job of SageMaker's ----


def stop_there(name: str, wait: bool, session: Any) -> int:
    """Ask SageMaker to stop the job, unless it has ended; return what following it does.

    Raises:
        UserError, JobError: AWS does not do it.
    """
    service = aws.client(session, "sagemaker")
    job = training_jobs.describe(name, service)
    if job["TrainingJobStatus"] in ENDED:
        note(f"{name} has ended already: {state_line(job)}")
        return 0
    with aws.translate_errors(f"job {name}"):
        service.stop_training_job(TrainingJobName=name)
    asked(name)
    return following.follow_cloud(name, session) if wait else 0


# ---- a job of this machine ----


def stop_here(job: Job, wait: bool) -> int:
    """Ask the job's own process to stop it, unless it has ended; return what following it does.

    Raises:
        UserError: it runs on another machine, or as another user.
    """
    if job.state in ENDED:
        note(f"{job.name} has ended already: {state_line(job.record)}")
        return 0
    if job.silent_s is not None:
        note(f"{job.name} has died: no sign of life for {job.silent_s:.0f} s{following.way_on(job)}")
        return 0
    local = job.record.get("Local", {})
    if not (local.get("Processes") and {"Host", "Space"} <= set(local)):
        raise UserError(f"{job.name}: its job.json does not say where it runs")
    pid, started = next(iter(local["Processes"].items()))  # the one that plays SageMaker
    if local["Space"] == own_space():
        stop_process(job, int(pid), started)
    else:
        container = container_in(local["Space"])
        if container is None:
            raise UserError(f"{job.name}: {elsewhere(job, pid)}")
        engine.quietly(["docker", "kill", "--signal", "TERM", container])
    asked(job.name)
    return following.follow_local(job) if wait else 0


def elsewhere(job: Job, pid: str) -> str:
    """Say why a job that should be running is nowhere here; a machine has another number each time that it starts."""
    local, space = job.record["Local"], own_space()
    if space and local["Space"].split("/")[0] == space.split("/")[0]:
        return f"its container has ended{following.way_on(job)}"
    return f"it does not run on this machine: `kill {pid}` on {local['Host']} stops it"


def own_space() -> Optional[str]:
    """Tell where this machine's processes are; None where there is no Linux, and jobs run in containers only."""
    return machine.process_space() if Path("/proc/self/ns/pid").exists() else None


def stop_process(job: Job, pid: int, started: Optional[str]) -> None:
    """Send SIGTERM to the job's process, also where Ctrl-Z holds it, unless its number is another's by now.

    Raises:
        UserError: it has ended, or is another user's.
    """
    if machine.started_at(pid) != started:
        raise UserError(f"{job.name}: its process {pid} has ended{following.way_on(job)}")
    try:
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)  # a process that is suspended gets the other one only now
    except PermissionError:
        raise UserError(f"{job.name}: process {pid} is another user's, who can stop it") from None


def container_in(space: str) -> Optional[str]:
    """Find the container of this clone's compose services whose processes these are; None where there is none."""
    said = engine.answer(["docker", "ps", "--format", f'{{{{.ID}}}} {{{{.Label "{FOLDER}"}}}}'])
    running = (line.partition(" ") for line in said.splitlines())
    # the folder is called as it was typed, which may be by a link
    ours = [container for container, _, folder in running if folder and os.path.realpath(folder) == str(ROOT)]
    return next((each for each in ours if engine.answer(["docker", "exec", each, "sh", "-c", SPACE]) == space), None)
