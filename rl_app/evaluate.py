"""The command ``evaluate``: plays episodes with a trained policy, and says what they are worth.

It runs the exported policy, without Ray and TensorFlow; or the agent that Ray restores from its checkpoint, where
that is asked for, and where a model has no policy.json.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import traceback
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Iterator, List, Sequence, TextIO

from rl_app import disk, plain
from rl_app.envs import ENVS
from rl_app.envs.contract import notices
from rl_app.errors import JobError, UserError, reason_of
from rl_app.evaluation.candidate import Candidate
from rl_app.evaluation.candidates import algorithm_of, env_of, models_of, read, ready_to_play
from rl_app.evaluation.playing import play
from rl_app.evaluation.recordings import record
from rl_app.evaluation.results import leave, results, surroundings
from rl_app.evaluation.rollouts import Rollout
from rl_app.job import agents, hyperparameters, sagemaker, user_code
from rl_app.job.sagemaker import Contract, Paths
from rl_app.job.settings import Evaluation
from rl_app.job.user_code import Source
from rl_app.machine import detect
from rl_app.masking import masked
from rl_app.policy import own_classes
from rl_app.policy.restored_agent import check_files
from rl_app.reports import evaluation as evaluation_report
from rl_app.stopping import relay
from rl_app.stopping.stop_request import StopRequest
from rl_app.storage import artifacts
from rl_app.storage.opening import fetch
from rl_app.terminal.console import capture, person
from rl_app.terminal.episode_bar import Display


def command() -> int:
    """Return what the image runs for ``evaluate``: a training job over ``/opt/ml`` whose channels each hold a model.

    Returns:
        The exit status: 0 also where it was stopped, 2 for what the user can fix, 1 for everything else.
    """
    return relay.behind(run, lost)


def lost(status: int) -> int:
    """Say why an evaluation has failed whose process ended in the middle; return the exit status."""
    paths = sagemaker.paths()
    if not sagemaker.failure(paths):
        reason = f"the evaluation's process {relay.how(status)}"
        sagemaker.write_failure(paths, reason)
        print(f"failed: {reason}", file=person(sys.stdout))
    sagemaker.give_to_owner(paths)
    return status or JobError.errno


def run(stop: StopRequest) -> int:
    """Do what :func:`command` says, in the process that is told of a stop."""
    paths, errors = sagemaker.paths(), person(sys.stderr)
    # Gym's environments draw with pygame, which this keeps off the screen.
    for name, value in (("SDL_VIDEODRIVER", "dummy"), ("SDL_AUDIODRIVER", "dummy"), ("TF_CPP_MIN_LOG_LEVEL", "2")):
        os.environ.setdefault(name, value)
    try:
        contract = sagemaker.read_config(paths)
        sagemaker.check_one_host(contract)
        sagemaker.make_output_directories(paths)
        evaluate(contract, paths, person(sys.stdout), stop)
        return 0
    except Exception as error:
        reason = reason_of(error)
        sagemaker.write_failure(paths, reason)
        if isinstance(error, UserError):
            print(reason, file=errors)
            return error.errno
        traceback.print_exc(file=errors)
        return 1
    finally:
        disk.release(paths.output)
        sagemaker.give_to_owner(paths)


def evaluate(contract: Contract, paths: Paths, terminal: TextIO, stop: StopRequest) -> None:
    """Play the episodes that the hyperparameters ask for; leave evaluation.json, videos and the report.

    Raises:
        UserError: what the user can fix.
    """
    started = time.time()
    settings = checked(contract)
    display = Display(terminal)
    say = display.say
    own = user_code.prepare(contract, paths, fetch, say)
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        said = stack.enter_context(notices.opened())
        candidates = [
            read(name, channel, artifacts.opened(channel, Path(scratch) / name))
            for name, channel in models_of(contract.channels).items()
        ]
        played_in = env_of(candidates, settings, {**ENVS, **own.envs})
        to_restore = agents_to_restore(candidates, settings)
        if to_restore:
            capture(paths.output_data / "evaluate.log")
            stack.enter_context(ray_running())
            register_classes(own, to_restore)
        rollouts: List[Rollout] = []
        state = "Failed"
        try:
            for each in candidates:
                rollouts.append(stack.enter_context(ready_to_play(each, played_in, settings, say)))
            for rollout in rollouts:
                play(rollout, settings, stop, display)
                said.tell(say)
            for line in evaluation_report.lines(results(rollouts)):
                say(line)
            for rollout in rollouts:
                record(rollout, settings, paths.output_data, stop, say)
            state = "Stopped" if stop else "Completed"
        finally:
            if rollouts:
                about = {
                    "job": contract.job_name or "job",
                    "state": state,
                    "started": started,
                    "time_s": time.time() - started,
                    "settings": masked(asdict(settings)),
                    "env": {"name": played_in.name, "env_config": plain.data(masked(played_in.env_config))},
                }
                leave({**about, **results(rollouts), **surroundings()}, paths.output_data)


def agents_to_restore(candidates: Sequence[Candidate], settings: Evaluation) -> List[Candidate]:
    """List the candidates that Ray has to restore; raises UserError where one cannot be evaluated."""
    for each in candidates:
        algorithm_of(each, settings)
    pickled = [each for each in candidates if settings.restore or not each.facts]
    for each in pickled:
        check_files(each.directory)
    return pickled


def register_classes(own: Source, restored: Sequence[Candidate]) -> None:
    """Give RLlib the user's own classes; raises UserError where those of an agent are not among them."""
    classes = own_classes.load(own.directory)
    for each in restored:
        for config in agents.configs(each.params):
            classes.check(config)
    classes.registered({})


def checked(contract: Contract) -> Evaluation:
    """Return the settings of the job; raises UserError."""
    if contract.program:
        raise UserError(f"sagemaker_program = {contract.program}: evaluate runs no program; train does")
    if "command" in contract.hyperparameters and not hyperparameters.is_evaluation(contract.hyperparameters):
        raise UserError(f"command = {contract.hyperparameters['command']}: but the container was started to evaluate")
    if not contract.channels:
        raise UserError("no channel: an evaluation finds its model in the channel `model`")
    return hyperparameters.parse_evaluation(contract.hyperparameters)


@contextmanager
def ray_running() -> Iterator[None]:
    """Ray on this machine, which is only then imported."""
    from rl_app.training import ray_runtime

    with ray_runtime.running(detect()):
        yield
