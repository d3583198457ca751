"""The command ``train``: SageMaker's contract outside, an RLlib trainer's loop inside."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
import time
import traceback
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, TextIO

from rl_app import disk
from rl_app.envs import ENVS
from rl_app.envs.contract.notices import opened
from rl_app.errors import JobError, UserError, reason_of
from rl_app.job import agents, hyperparameters, offline, requirements, sagemaker, user_code
from rl_app.job.sagemaker import Contract, Paths
from rl_app.job.settings import Job
from rl_app.job.user_code import Source
from rl_app.machine import detect
from rl_app.reports import live
from rl_app.reports.training import FAILED, Outcome
from rl_app.stopping import relay
from rl_app.stopping.stop_request import StoppedEarly, StopRequest
from rl_app.storage import layout
from rl_app.storage.opening import fetch
from rl_app.terminal.console import capture, person
from rl_app.training import launcher, member, program
from rl_app.training.cluster import Cluster
from rl_app.training.live_upload import uploaded
from rl_app.training.loop import JobContext, run_trial
from rl_app.training.trial import Trial, classes_of, try_environment


@dataclass(frozen=True)
class Prepared:
    """A job that has passed every check. ``trial`` is None where a program of the user's own runs."""

    contract: Contract
    trial: Optional[Trial]
    context: JobContext


LOST_BY_RAY = {"RayActorError": "a worker process of Ray's", "RayletError": "Ray's raylet"}
"""What has died, by the name of the error that Ray raises of it."""
PREPARED: List[Prepared] = []
"""The job that :func:`main` finds, which sagemaker-training calls without arguments."""


def command() -> int:
    """Run what the image is started with for ``train``: check the job, then hand over to sagemaker-training.

    A job whose hyperparameter ``command`` is ``evaluate`` becomes that command, which needs no toolkit.

    Returns:
        The exit status: 2 for what the user can fix; the toolkit's own where it took over.
    """
    with suppress(UserError):  # which the job itself says
        if hyperparameters.is_evaluation(sagemaker.read_config(sagemaker.paths()).hyperparameters):
            os.execv(sys.executable, [sys.executable, "-m", __package__, "evaluate"])
    return relay.behind(run, lost)


def lost(status: int) -> int:
    """Leave what there is of a job whose process ended in the middle; return the exit status."""
    paths = sagemaker.paths()
    if not sagemaker.failure(paths):
        sagemaker.write_failure(paths, f"the job's process {relay.how(status)}")
    print(f"failed: {sagemaker.failure(paths)}", file=person(sys.stdout))
    with suppress(OSError):  # where there is a report, it says so too
        live.write(paths.intermediate, Outcome(FAILED, sagemaker.failure(paths), time.time()))
    if any(paths.intermediate.iterdir()):  # it is empty on a host that does not train
        leave_output(paths)
    sagemaker.give_to_owner(paths)
    return status or JobError.errno


@dataclass
class Running:
    """A job on this host, as far as it has come: where its person reads, and its other hosts, if there are any."""

    paths: Paths
    stop: StopRequest
    terminal: TextIO = sys.stderr
    cluster: Optional[Cluster] = None

    def say(self, line: object) -> None:
        """Print a line for the person."""
        print(line, file=self.terminal, flush=True)


def run(stop: StopRequest) -> int:
    """Do what :func:`command` says, in the process that is told of a stop."""
    running = Running(sagemaker.paths(), stop)
    try:
        with ExitStack() as stack:
            status = ended(running, stack)
    finally:
        disk.release(running.paths.output)
        sagemaker.give_to_owner(running.paths)
    if running.cluster:  # last of all: SageMaker's SDK stops all hosts once one has ended
        said = sagemaker.failure(running.paths) if status else "stopped as asked" if stop else "done"
        running.cluster.end(status, said)
    return status


def ended(running: Running, stack: ExitStack) -> int:
    """Run the job to its end, whatever that is; return the exit status, whose reason is left and said."""
    try:
        return played(running, stack)
    except StoppedEarly as early:
        running.say(early)
        return 0
    except UserError as error:
        sagemaker.write_failure(running.paths, str(error))
        running.say(error)
        return error.errno
    except Exception as error:  # no way out is without a reason
        sagemaker.write_failure(running.paths, reason_of(error))
        traceback.print_exc()
        running.say(f"failed: {reason_of(error)}")
        return JobError.errno


def played(running: Running, stack: ExitStack) -> int:
    """Play the part that this host has in the job; return the exit status."""
    paths, stop, contract = running.paths, running.stop, sagemaker.read_config(running.paths)
    # With the intermediate directory there, sagemaker-training leaves its upload to us: it misses renamed files.
    sagemaker.make_output_directories(paths)
    running.terminal = sys.stdout if contract.program else capture(log_of(contract, paths))
    if not contract.program and not contract.is_head:
        return served(contract, running)
    if not contract.program and len(contract.hosts) > 1:
        running.cluster = Cluster(contract, stop)
    said = stack.enter_context(opened())
    with stop.before_training(grace_s=0):
        trial = prepare(contract, running)
    context = JobContext(contract.job_name or "job", paths, running.terminal, stop, said, running.cluster)
    PREPARED.append(Prepared(contract, trial, context))
    said.tell(running.say)
    status = hand_over(paths)
    if status != 0 and not contract.program:
        reason = sagemaker.failure(paths) or "no reason given; see train.log"
        running.say(f"failed: {reason.splitlines()[-1]}")
    if status == 0 and contract.program and not sagemaker.has_model(paths):
        running.say(program.without_model(contract.program, paths.model))
    return status


def log_of(contract: Contract, paths: Paths) -> Path:
    """Return where all goes that the job's processes on this host write; hosts share no name."""
    if contract.is_head:
        return paths.intermediate / layout.LOG
    return paths.output_data / contract.current_host / layout.LOG


def served(contract: Contract, running: Running) -> int:
    """Give this host to the one that trains, up to the job's end; return the exit status."""
    try:
        own = user_code.prepare(contract, running.paths, fetch, running.say)
        job = hyperparameters.parse(contract.hyperparameters, None, own.experiments)
    except UserError as error:
        member.tell_failure(contract, str(error))
        raise
    end = member.serve(contract, running.paths, job.settings.hosts_deadline, running.stop, running.say)
    if end.status:
        sagemaker.write_failure(running.paths, end.reason)
    running.say(f"failed: {end.reason}" if end.status else end.reason)
    return end.status


def prepare(contract: Contract, running: Running) -> Optional[Trial]:
    """Check, before anything is started, what can be: hyperparameters, the user's code, the environment, memory.

    Raises:
        UserError: what the user can fix.
    """
    own = user_code.prepare(contract, running.paths, fetch, running.say)
    if contract.program:
        said = *requirements.notes(running.paths.packages), *launcher.notes(own.directory, contract.hyperparameters)
        for line in said:
            running.say(line)
        return None
    job = offline.placed(parsed(contract, running, own), contract.channels, running.paths.output_data)
    trial = Trial(job, {**ENVS, **own.envs}, classes_of(own.directory, job))
    for config in agents.configs(job.trial["config"]):
        trial.own.check(config)
    from rl_app.training import ray_runtime, warm_start

    warm_start.check(running.paths.data / sagemaker.WEIGHTS, job.trial["run"], job.trial["env"])
    trial = try_environment(trial, job.trial["env"] in own.envs, running.say)
    if trial.needs_ray:
        ray_runtime.check_memory(running.say)
    return trial


def parsed(contract: Contract, running: Running, own: Source) -> Job:
    """Return the job that the hyperparameters ask for of this host, or of all of them once they are together."""
    job = hyperparameters.parse(contract.hyperparameters, None if running.cluster else detect(), own.experiments)
    if not running.cluster:
        return job
    running.say(f"waiting for {', '.join(host for host in contract.hosts if host != contract.head)}")
    together = running.cluster.wait(job.settings.hosts_deadline)
    return hyperparameters.parse(contract.hyperparameters, together, own.experiments)


def hand_over(paths: Paths) -> int:
    """Run sagemaker-training, which calls :func:`main`; return its exit status.

    Where it cannot write down that a job has failed, it ends with 0; only success is always written down.
    """
    os.environ["SAGEMAKER_TRAINING_MODULE"] = f"{__name__}:main"
    # At INFO it logs the whole environment and all hyperparameters, with whatever secret is among them.
    logging.getLogger("sagemaker-training-toolkit").setLevel(logging.WARNING)
    from sagemaker_training import environment
    from sagemaker_training.cli.train import main as toolkit

    if not (paths.config / "inputdataconfig.json").exists():  # without which the toolkit fails
        environment.read_input_data_config = dict
    try:
        toolkit()
        status = 0
    except SystemExit as exit_:
        status = int(exit_.code or 0)
    return status or (0 if paths.success.exists() else JobError.errno)


def main() -> None:
    """Run, as the framework module of sagemaker-training, the user's program, else the job built into the image.

    The toolkit takes an exception's ``errno`` for the exit status and turns any SystemExit into success, so
    every way out that is no success is an exception, and the reason is in ``output/failure`` before it is raised.
    """
    (prepared,) = PREPARED
    paths = prepared.context.paths
    with uploaded(prepared.contract, paths, prepared.context.terminal):
        if prepared.trial is None:
            program.run()  # of whose failure the toolkit writes the reason
            return
        try:
            run_trial(prepared.trial, prepared.context)
            exports = prepared.trial.job.settings.export
            if exports and not prepared.context.stop and not sagemaker.has_model(paths):
                raise JobError(f"{paths.model} is empty at the end of the job, which left its model there")
        except BaseException as error:
            failure = explained(error, paths)
            sagemaker.write_failure(paths, reason_of(failure))
            with suppress(OSError):  # the log is on the disk that may be full
                traceback.print_exc()
            if failure is error:
                raise
            raise failure from error
        finally:
            leave_output(paths)


def explained(error: BaseException, paths: Paths) -> Exception:
    """Return the exception that the job ends with, and whose text is the reason that a person sees."""
    said = sagemaker.failure(paths)
    if said:  # by one of Ray's workers, whose end is all that its driver was told of
        return UserError(said)
    if type(error).__name__ in LOST_BY_RAY:
        return JobError(f"{LOST_BY_RAY[type(error).__name__]} was ended in the middle, as for want of memory")
    full = disk.full(error, (paths.model, paths.output, paths.checkpoints, Path(tempfile.gettempdir())))
    if full:
        return JobError(full)
    return error if isinstance(error, Exception) else RuntimeError(reason_of(error))


def leave_output(paths: Paths) -> None:
    """Have all that is in ``output/intermediate`` in ``output/data`` too, from where it is archived."""
    shutil.copytree(
        paths.intermediate,
        paths.output_data,
        ignore=shutil.ignore_patterns(".tmp*"),
        copy_function=link,
        dirs_exist_ok=True,
    )


def link(source: str, target: str) -> None:
    """Give the file another name, which takes no space; copy it where that cannot be."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
