"""Plays SageMaker around the container's commands: stages its input, runs it, stores what it leaves."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Dict, Mapping, Optional, Sequence, Tuple

from rl_app.errors import JobError, UserError
from rl_app.job import sagemaker
from rl_app.job.sagemaker import Paths
from rl_app.local import catching_up, compose, flags, hosts, joining
from rl_app.local.checked_job import CheckedJob, check_job
from rl_app.local.closing import finish, say
from rl_app.local.durations import until_interrupted
from rl_app.local.hints import Caller, caller_of
from rl_app.local.hosts import Gathered
from rl_app.local.opt_ml import base_of, has_last, stage
from rl_app.local.record import INTERRUPTED, End, claim, final_metrics, heartbeat, utc_now
from rl_app.local.request import JobRequest, parse
from rl_app.local.uploads import bring_checkpoints, upload
from rl_app.machine import started_at
from rl_app.stopping import child
from rl_app.storage import layout
from rl_app.storage.mirror import Mirror

MAX_RUN = "max_run"
GRACE_S = 120.0
"""What SageMaker gives a job between SIGTERM and SIGKILL."""
UNWRITTEN = "what it had not written is lost"
KILLED: Dict[Optional[int], str] = {
    signal.SIGINT: f"killed by Ctrl-C; {UNWRITTEN}",
    child.MAX_RUN: f"killed: it had not ended after SIGTERM; {UNWRITTEN}",
}
"""Why a job that was asked to stop was killed, by what had it killed."""

EXAMPLES = """
examples:
  python -m rl_app local train
  python -m rl_app local train cartpole config.lr=0.001 stop.episode_reward_mean=195 seed=3
  python -m rl_app local train --job my-first --store s3://bucket/prefix
  python -m rl_app local train --resume my-first max_run=600
  python -m rl_app local train --interrupt-after 20s
  python -m rl_app local train --channel data=episodes --program train.py
  python -m rl_app local evaluate
  python -m rl_app local evaluate my-first another deterministic=false --episodes 100 --seed 7
  python -m rl_app local evaluate s3://bucket/prefix/my-first/output/model.tar.gz
  python -m rl_app local upload my-first          what a job could not upload, once its store is back

Where an argument is not given, the environment is asked: EXPERIMENT, HYPERPARAMETERS (words KEY=VALUE as in a
shell, or a JSON object), JOB, STORE, MODEL (for evaluate), CHANNELS (words NAME=s3://…), and SAGEMAKER_BASE_DIR for
--work.
Exit status: 0 completed, 1 failed, 2 refused, 130 or 143 stopped by Ctrl-C or by SIGTERM and max_run.
"""


def main(
    argv: Sequence[str],
    command: Optional[Sequence[str]] = None,
    environ: Mapping[str, str] = os.environ,
    grace: float = GRACE_S,
) -> int:
    """Run one job to its end.

    Args:
        argv: what follows ``local`` on the command line.
        command: what runs in place of this program's own ``train`` or ``evaluate``.
        grace: seconds that the job has to end after SIGTERM, and the store to take what is left at the end.

    Returns:
        The exit status: 0 completed, 1 failed, 2 refused, 130 or 143 stopped.
    """
    if argv and argv[0] == "upload":
        return catching_up.main(argv[1:], environ)
    try:
        if argv and argv[0] == "host":
            return joining.main(argv[1:], environ, grace)
        asked, work, caller, names = _parse(argv, environ)
        run = command or (sys.executable, "-m", "rl_app", asked.command)
        with hosts.gathered(names, environ) as others:
            caller = replace(caller, hosts=others.number if others else 1)
            name, end = _play(check_job(asked, work, caller, environ, names), run, environ, grace, others)
            if end.secondary == INTERRUPTED:
                say(f"job {name}: it goes on by itself, in a fresh /opt/ml, as after a spot interruption")
                again = replace(asked, job=None, resume=name, models=(), interrupt_after=None)
                name, end = _play(check_job(again, work, caller, environ, names), run, environ, grace, others)
            if others:
                others.end(end.code, end.reason)
        compose.say_way_down(environ)
        return end.code
    except (UserError, JobError) as error:
        say(str(error))
        return error.errno


def _parse(argv: Sequence[str], environ: Mapping[str, str]) -> Tuple[JobRequest, Optional[str], Caller, Sequence[str]]:
    """Return the job that is asked for, the base directory that is given, if any, who asks, and who joins.

    Raises:
        UserError: it cannot be read.
    """
    parser = argparse.ArgumentParser(
        prog="python -m rl_app local",
        description="Run a job as SageMaker would, on this machine; its files go to a store.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=["train", "evaluate"], help="what the job does")
    flags.declare(parser, ["train", "evaluate"])
    parser.add_argument("--work", metavar="DIR", help="what plays /opt/ml; default: a new one, removed at the end")
    parser.add_argument("--hosts", metavar="NAME,…", help="containers that join a training job, by `local host`")
    parser.add_argument("--called", metavar="JSON", help="by scripts/: what of its command line the hints repeat")
    options = flags.read(parser, argv)
    asked = parse(options, options.command, environ)
    in_docker, store = bool(environ.get("RL_IMAGE")), environ.get("STORE", "")
    caller = caller_of(options.called, asked, in_docker, store)
    caller = replace(caller, volume=environ.get("RL_WORK_VOLUME", ""))
    names = options.hosts.split(",") if options.hosts else []
    if names and asked.command == "evaluate":
        raise UserError(f"--hosts {options.hosts}: an evaluation runs on one host")
    return asked, options.work or environ.get("SAGEMAKER_BASE_DIR"), caller, names


def _play(
    request: CheckedJob, command: Sequence[str], environ: Mapping[str, str], grace: float, others: Optional[Gathered]
) -> Tuple[str, End]:
    """Run the job once, with the ``others`` that have joined it; return its name, and how it ended."""
    with child.caught_signals() as signals:
        if request.earlier:
            _bring_last(request, environ, grace)
        record = claim(request, environ)
        name = record["TrainingJobName"]
        say(f"job {name}: its files go to {request.store.url}/{name}")
        for model in request.models.values():
            say(f"model {model.name}: {model.uri}")
        for channel, data in request.channels.items():
            say(f"channel {channel}: {data.uri}")
        base = request.work or base_of(request.store, name, environ) or Path(tempfile.mkdtemp(prefix=f"{name}-"))
        try:
            paths = stage(request, record, base)
            compose.link_opt_ml(paths, environ)
            if others:
                environ = others.begin(request, name, paths)
            process = child.start(
                command, {**environ, "SAGEMAKER_BASE_DIR": str(paths.base), "TRAINING_JOB_NAME": name}
            )
        except (UserError, JobError, OSError) as error:
            code = error.errno if isinstance(error, UserError) else 1
            return name, finish(request, record, base, End("Failed", code, reason=str(error)), [])
        record["Local"]["Processes"][str(process.pid)] = started_at(process.pid)
        record["TrainingStartTime"] = utc_now().isoformat()
        record["CheckpointConfig"]["LocalPath"] = str(paths.checkpoints)
        started = time.monotonic()
        with heartbeat(request.store, record):
            checkpoints = Mirror(paths.checkpoints, request.store, f"{name}/{layout.CHECKPOINTS}", delete=True)
            checkpoints.start()
            seconds, limit = _limit(request)
            ended = child.supervise(process, signals, seconds, grace, say, limit)
            end = _judge(ended, sagemaker.failure(paths), INTERRUPTED if limit != MAX_RUN else "MaxRuntimeExceeded")
            ended_at, took = utc_now(), time.monotonic() - started
            troubles = upload(request.store, name, paths, [checkpoints], grace, request.is_evaluation)
        record["TrainingEndTime"] = ended_at.isoformat()
        record["TrainingTimeInSeconds"] = record.get("TrainingTimeInSeconds", 0) + round(took)
        record["FinalMetricDataList"] = final_metrics(paths)
        return name, finish(request, record, base, end, troubles)


def _limit(request: CheckedJob) -> Tuple[float, str]:
    """Return how many seconds the job may run, and what says so."""
    interrupted, most = until_interrupted(request.asked.interrupt_after), request.settings.max_run
    if interrupted is not None and interrupted < most:
        return interrupted, "--interrupt-after"
    return most, MAX_RUN


def _bring_last(request: CheckedJob, environ: Mapping[str, str], timeout: float) -> None:
    """Bring to the store what the last run had saved when it was killed, before anything of it can get lost."""
    name = request.earlier["TrainingJobName"]
    base = request.work or base_of(request.store, name, environ)
    if base and has_last(request.earlier, Paths(base)):
        say(f"job {name}: the checkpoints that are still in {Paths(base).checkpoints} go to the store first")
        bring_checkpoints(request.store, name, Paths(base), timeout)


def _judge(ended: child.Ended, failure: str, at_limit: str) -> End:
    """Say how the job ended; ``at_limit`` is SageMaker's word for a job whose time was over."""
    status, asked, killed = ended
    if asked is not None and not (status > 0 and failure):
        secondary = "Stopped" if asked else at_limit
        return End("Stopped", 128 + (asked or signal.SIGTERM), secondary, KILLED.get(killed))
    if status == 0:
        return End("Completed", 0)
    if status < 0:
        out_of_memory = ", as for want of memory" if status == -signal.SIGKILL else ""
        failure = failure or f"ended by {signal.Signals(-status).name}{out_of_memory}"
    return End("Failed", 2 if status == 2 else 1, reason=failure or f"exit status {status}, and no reason given")
