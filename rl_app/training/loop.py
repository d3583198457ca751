"""The loop over a trial's iterations: from the trainer that is built to the model that is exported."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Optional, TextIO

from rl_app import disk
from rl_app.envs.contract.notices import Notices
from rl_app.errors import JobError
from rl_app.job import learning, metrics, sagemaker
from rl_app.job.metrics import History, row
from rl_app.job.sagemaker import Paths
from rl_app.machine import Machine, detect
from rl_app.policy import soundness
from rl_app.policy.exportable import check_exportable
from rl_app.reports.facts import facts
from rl_app.stopping.stop_request import IterationDropped, StoppedEarly, StopRequest
from rl_app.terminal.console import Display
from rl_app.training import adaptive, checkpoints, trainers, warm_start
from rl_app.training.cluster import Cluster, HostLostError, explained
from rl_app.training.recorder import Recorder
from rl_app.training.trial import Trial, about_gpus, build_trainer, runtime


@dataclass(frozen=True)
class JobContext:
    """What a trial is trained in.

    Attributes:
        name: the job's.
        terminal: what the person sees, where standard output is a log.
        notices: what is to be said once of the environment.
        cluster: the job's hosts, where it has several.
    """

    name: str
    paths: Paths
    terminal: TextIO
    stop: StopRequest
    notices: Notices
    cluster: Optional[Cluster] = None

    @property
    def machine(self) -> Machine:
        """Return what the job has to train with."""
        return self.cluster.machine if self.cluster else detect()


def run_trial(trial: Trial, context: JobContext) -> None:
    """Train until it is solved, capped or stopped; leave checkpoints, the model and the output.

    Where it is stopped before the first iteration is done, it says so and leaves the output alone.
    """
    machine, job, paths = context.machine, trial.job, context.paths
    with Display(context.terminal, job.trial["stop"]) as display:
        display.phase(f"{job.trial['run']} on {job.trial['env']}: {starting(trial, machine)}")
        for line in about_gpus(machine, job.trial):
            display.phase(line)
        about = facts(job, machine, context.name)
        with Recorder(paths.intermediate, about, trial.made(), display.say, context.stop) as recorder, early_stop_told(
            display
        ), runtime_of(trial, machine, context):
            train(trial, context, display, recorder)


def train(trial: Trial, context: JobContext, display: Display, recorder: Recorder) -> None:
    """Run the loop, and anew from what was saved on the hosts that are left where one is lost and that is wanted."""
    run, config, fast = trial.job.trial["run"], trial.job.trial["config"], trial.job.settings.fast
    while True:
        try:
            with trainer_of(trial, context, display) as trainer:
                for line in trainers.fallbacks(trainer, run, config, fast):
                    display.phase(line)
                if trial.exports_own:
                    trainer.workers.local_worker().foreach_policy(lambda policy, _: check_exportable(policy))
                Loop(trainer, trial, context, display, recorder).run()
            return
        except HostLostError as error:
            lost = HostLostError(str(error))  # without its traceback, which holds the trainer
        assert context.cluster is not None, "whose host it is"
        trial = context.cluster.without_lost(trial, lost, display.phase)


def starting(trial: Trial, machine: Machine) -> str:
    """Return what is started, and what it gets, in words."""
    cpus, gpus = f"{machine.cpus} CPUs", f"{machine.gpus} GPU{'s' * (machine.gpus > 1)}"
    if machine.hosts:
        cpus = f"{cpus} of {len(machine.hosts)} hosts"
    resources = f"{cpus}, {gpus}" if machine.gpus else cpus
    return f"starting {'Ray ' if trial.needs_ray else ''}({resources})"


@contextmanager
def early_stop_told(display: Display) -> Iterator[None]:
    """Take a stop before the first iteration for the end of the block, and say so."""
    try:
        yield
    except StoppedEarly as early:
        display.phase(str(early))


@contextmanager
def runtime_of(trial: Trial, machine: Machine, context: JobContext) -> Iterator[None]:
    """Run Ray while the block runs, where the trial needs it; raises StoppedEarly where a stop was asked for."""
    with ExitStack() as stack:
        with context.stop.before_training(), explained(context.cluster):
            stack.enter_context(runtime(trial, machine, lambda why: give_up(why, context), context.cluster))
        yield


@contextmanager
def trainer_of(trial: Trial, context: JobContext, display: Display) -> Iterator[Any]:
    """Yield an RLlib trainer for the trial.

    Raises:
        StoppedEarly: a stop was asked for meanwhile.
    """
    display.now("building the trainer")
    # It imports TensorFlow, which takes long on a busy machine
    with context.stop.before_training(grace_s=0), explained(context.cluster):
        trainer = build_trainer(trial, context.paths.intermediate)
    try:
        yield trainer
    finally:
        trainer.stop()


def give_up(why: str, context: JobContext) -> None:
    """End a process that would wait for ever; what there is of the job is left by the one that started it."""
    sagemaker.write_failure(context.paths, why)
    if context.cluster:
        context.cluster.end(JobError.errno, why)
    os._exit(JobError.errno)


class Loop:
    """Iterates until a stop condition holds or a stop is asked for."""

    def __init__(self, trainer: Any, trial: Trial, context: JobContext, display: Display, recorder: Recorder) -> None:
        self._trainer, self._job, self._context = trainer, trial.job, context
        self._display, self._recorder = display, recorder
        self._checkpoints = context.paths.checkpoints
        self._history = History([context.paths.intermediate, self._checkpoints])

    def run(self) -> None:
        """Go on from what there is, trains, and exports the best checkpoint.

        Raises:
            StoppedEarly: no iteration was done, in this job or in the one that it goes on with.
        """
        self._resume()
        self._train()
        if self._job.settings.export:
            self._export_best()
        else:
            self._display.phase("no model, as export = false; a job can go on from the checkpoints")
        self._display.phase(verdict(self._history, self._job.trial["stop"]))
        self._display.now("making the last video and the report")

    def _resume(self) -> None:
        """Go on from the newest checkpoint, where SageMaker (or local mode) put some back; else from what is given."""
        newest = checkpoints.restore_newest(self._trainer, self._checkpoints, self._display.phase)
        if newest is not None:
            self._history.resume(self._checkpoints, newest.iteration)
            self._display.phase(f"going on from iteration {newest.iteration}")
            lost = adaptive.not_kept(self._trainer)
            if lost:
                self._display.phase(lost)
        elif warm_start.begin(self._trainer, self._context.paths.data / sagemaker.WEIGHTS):
            self._display.phase("beginning with the weights of the checkpoint that was given; all else is new")

    def _train(self) -> None:
        """Iterate, and end with a checkpoint of what there is."""
        stop, frequency = self._context.stop, self._job.trial.get("checkpoint_freq", 0)
        while not stop and not metrics.reached(self._history.latest, self._job.trial["stop"]):
            try:
                self._iterate()
            except (IterationDropped, HostLostError) as dropped:
                if isinstance(dropped, HostLostError) and not stop:
                    if self._history.rows:
                        self._save()
                    raise
                self._display.phase(f"stopping: {dropped}, and is dropped")
                if checkpoints.kept(self._checkpoints):
                    return
                break
            if frequency and self._trainer.iteration % frequency == 0:
                self._save()
                self._offer(self._trainer.iteration)
        if not self._history.rows:
            raise StoppedEarly
        if stop:
            self._display.phase("stopping as asked")
        self._save()

    def _iterate(self) -> None:
        """Train for one iteration, and say what has become of it."""
        from rl_app.training import trial_logger

        self._display.now(f"sampling and training, iteration {self._trainer.iteration + 1}")
        with self._context.stop.iteration(), explained(self._context.cluster):
            result = self._trainer.train()
        trial_logger.log(self._trainer, result)
        self._history.add(row(result, self._history.latest))
        self._display.iteration(self._history.rows[-1])
        learning.say(self._history.rows[-1], self._context.terminal)
        self._context.notices.tell(self._display.say)

    def _save(self) -> None:
        """Save a checkpoint, and drop those that are not to be kept."""
        self._display.now("saving a checkpoint")
        checkpoints.save(self._trainer, self._checkpoints, self._job.settings.replay_mb * disk.MIB)
        keep = self._job.trial.get("keep_checkpoints_num")
        checkpoints.prune(self._checkpoints, keep, self._history.reward_of)

    def _export_best(self) -> None:
        """Export the best checkpoint, not the latest, as the model."""
        from rl_app.policy.export import export
        from rl_app.policy.freezing import filters

        trainer, history, display = self._trainer, self._history, self._display
        best = checkpoints.restore_best(trainer, self._checkpoints, history.reward_of, display.phase)
        display.phase(f"exporting the policy of iteration {best.iteration}, the best checkpoint")
        self._offer(best.iteration)
        known = next((row for row in history.rows if row["training_iteration"] == best.iteration), {})
        about = {"job": self._context.name, "experiment": self._job.settings.experiment, **known}
        each_filter = filters(trainer)
        export(trainer, self._context.paths.model, best, about)
        for observation_filter in each_filter:
            constant = soundness.never_changed(*observation_filter)
            if constant:
                display.phase(constant)

    def _offer(self, iteration: int) -> None:
        """Have a video made of the policy as it is now, where it can be exported."""
        if self._job.settings.export:
            self._recorder.offer(self._trainer, self._history.reward_of(iteration))


def verdict(history: History, stop_at: Mapping[str, float]) -> str:
    """Return what became of the goal, in words."""
    goal = stop_at.get("episode_reward_mean")
    reward = history.rows[-1]["episode_reward_mean"] if history.rows else None
    if goal is None or reward is None:
        return "done"
    return f"solved: mean reward {reward:.2f}" if reward >= goal else f"not solved: mean reward {reward:.2f} of {goal}"
