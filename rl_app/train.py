"""The command ``train``: SageMaker's contract outside, an RLlib trainer's loop inside."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
import traceback
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterator, List, Mapping, Optional, TextIO

from rl_app import algorithms, checkpoints, disk, hyperparameters, report, sagemaker, source
from rl_app.console import Display, capture
from rl_app.envs import ENVS
from rl_app.errors import JobError, UserError, reason_of
from rl_app.hyperparameters import Job
from rl_app.machine import Machine, detect, has_cuda
from rl_app.metrics import History, Row, row
from rl_app.recorder import Recorder
from rl_app.sagemaker import Contract, Paths
from rl_app.stopping import IterationDropped, StopRequest
from rl_app.store import Mirror, fetch, open_store

if TYPE_CHECKING:
    from rl_app.envs.creation import Creator

UPLOAD_DEADLINE_S = 20.0


@dataclass(frozen=True)
class Prepared:
    """A job that has passed every check. ``trial`` is None where a program of the user's own runs."""

    contract: Contract
    paths: Paths
    terminal: TextIO
    trial: Optional[Trial]


@dataclass(frozen=True)
class Trial:
    """What the job built into the image trains: the checked job, and the registry of its environments."""

    job: Job
    envs: Mapping[str, Callable[..., Any]]

    @property
    def creator(self) -> Creator:
        from rl_app.envs.creation import creator

        settings = self.job.settings
        return creator(self.job.trial["env"], settings.seed, self.envs, settings.env_deadline)


PREPARED: List[Prepared] = []
"""The job that :func:`main` finds, which sagemaker-training calls without arguments."""


def command() -> int:
    """What the image runs for ``train``: checks the job, then hands over to sagemaker-training, which calls main.

    A job whose hyperparameter ``command`` is ``evaluate`` becomes that command, which needs no toolkit.

    Returns:
        The exit status: 2 for what the user can fix; the toolkit's own where it took over.
    """
    paths = sagemaker.paths()
    terminal: TextIO = sys.stderr
    try:
        contract = sagemaker.read_config(paths)
        if hyperparameters.is_evaluation(contract.hyperparameters):
            os.execv(sys.executable, [sys.executable, "-m", __package__, "evaluate"])
        # With the intermediate directory there, sagemaker-training leaves its upload to us: it misses renamed files.
        sagemaker.make_output_directories(paths)
        sagemaker.complete_config(paths)
        terminal = sys.stdout if contract.program else capture(paths.intermediate / "train.log")
        PREPARED.append(Prepared(contract, paths, terminal, prepare(contract, paths, terminal)))
        status = hand_over(paths)
        if status != 0 and not contract.program:
            reason = sagemaker.failure(paths) or "no reason given; see train.log"
            print(f"failed: {reason.splitlines()[-1]}", file=terminal, flush=True)
        return status
    except UserError as error:
        sagemaker.write_failure(paths, str(error))
        print(error, file=terminal, flush=True)
        return error.errno
    finally:
        disk.release(paths.output)
        sagemaker.give_to_owner(paths)


def prepare(contract: Contract, paths: Paths, terminal: TextIO) -> Optional[Trial]:
    """Checks, before anything is started, what can be: hyperparameters, the user's code, the environment, memory.

    Raises:
        UserError: what the user can fix.
    """
    own = source.prepare(contract, paths, fetch)
    if contract.program:
        return None
    job = hyperparameters.parse(contract.hyperparameters, detect(), own.experiments)
    trial = Trial(job, {**ENVS, **own.envs})
    from rl_app import cluster
    from rl_app.envs.creation import WATCHDOG, try_out

    WATCHDOG.last_words = lambda line: hung(line, paths, terminal)
    try_out(trial.creator, job.trial["env"], job.trial["config"].get("env_config", {}), job.settings.seed)
    cluster.check_memory(lambda line: print(line, file=terminal, flush=True))
    return trial


def hand_over(paths: Paths) -> int:
    """Runs sagemaker-training, which calls :func:`main`; returns its exit status.

    Where it cannot write down that a job has failed, it ends with 0; only success is always written down.
    """
    os.environ["SAGEMAKER_TRAINING_MODULE"] = f"{__name__}:main"
    # At INFO it logs the whole environment and all hyperparameters, with whatever secret is among them.
    logging.getLogger("sagemaker-training-toolkit").setLevel(logging.WARNING)
    from sagemaker_training.cli.train import main as toolkit

    try:
        toolkit()
        status = 0
    except SystemExit as exit_:
        status = int(exit_.code or 0)
    return status or (0 if paths.success.exists() else JobError.errno)


def main() -> None:
    """The framework module of sagemaker-training: runs the user's program, else the job built into the image.

    The toolkit takes an exception's ``errno`` for the exit status and turns any SystemExit into success, so
    every way out that is no success is an exception, and the reason is in ``output/failure`` before it is raised.
    """
    (prepared,) = PREPARED
    paths, terminal = prepared.paths, prepared.terminal
    with uploaded(prepared.contract, paths, terminal):
        if prepared.trial is None:
            run_program()  # of whose failure the toolkit writes the reason
            return
        try:
            run_trial(prepared.trial, prepared.contract.job_name or "job", paths, terminal)
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
    """The exception that the job ends with, and whose text is the reason that a person sees."""
    said = sagemaker.failure(paths)
    if said:  # by one of Ray's workers, whose end is all that its driver was told of
        return UserError(said)
    full = disk.full(error, (paths.model, paths.output, paths.checkpoints, Path(tempfile.gettempdir())))
    if full:
        return JobError(full)
    return error if isinstance(error, Exception) else RuntimeError(reason_of(error))


def leave_output(paths: Paths) -> None:
    """Has all that is in ``output/intermediate`` in ``output/data`` too, from where it is archived."""
    shutil.copytree(
        paths.intermediate,
        paths.output_data,
        ignore=shutil.ignore_patterns(".tmp*"),
        copy_function=link,
        dirs_exist_ok=True,
    )


def link(source: str, target: str) -> None:
    """The same file under another name, which takes no space; a copy where that cannot be."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def hung(line: str, paths: Paths, terminal: TextIO) -> None:
    """What is left to do where an environment hangs and the process can only be ended."""
    print(f"failed: {line}", file=terminal, flush=True)
    sagemaker.write_failure(paths, line)
    leave_output(paths)
    sagemaker.give_to_owner(paths)


@contextmanager
def uploaded(contract: Contract, paths: Paths, terminal: TextIO) -> Iterator[None]:
    """Keeps ``output/intermediate`` in the store while the block runs, where the job says which store.

    It is a view of the job while it runs, and all of it is in ``output/data`` at the end: where the store does
    not take it (a role may read and write a bucket and yet not list it), the job goes on and says so.
    """
    url = contract.hyperparameters.get("sagemaker_s3_output")
    if not url or not contract.job_name:
        yield
        return
    try:
        mirror = Mirror(paths.intermediate, open_store(url), f"{contract.job_name}/output/intermediate")
    except UserError as error:
        print(f"not uploaded while the job runs: output/intermediate: {error}", file=terminal, flush=True)
        yield
        return
    mirror.start()
    try:
        yield
    finally:
        try:
            mirror.stop(UPLOAD_DEADLINE_S)
        except JobError as error:
            print(f"not uploaded: {error}", file=terminal, flush=True)


def run_program() -> None:
    """Runs the user's own program by the toolkit; a stop is passed on to it."""
    import psutil
    from sagemaker_training import entry_point, environment

    def forward(number: int) -> None:
        for child in psutil.Process().children(recursive=True):
            child.send_signal(number)

    env = environment.Environment()
    with StopRequest(on_request=forward):
        entry_point.run(env.module_dir, env.user_entry_point, env.to_cmd_args(), env.to_env_vars())


def run_trial(trial: Trial, name: str, paths: Paths, terminal: TextIO) -> None:
    """Trains until it is solved, capped or stopped; leaves checkpoints, the model and the output."""
    machine, job = detect(), trial.job
    with StopRequest() as stop, Display(terminal, job.trial["stop"]) as display:
        display.phase(f"{job.trial['run']} on {job.trial['env']}: starting Ray ({resources(machine)})")
        for line in about_gpus(machine, job.trial):
            display.phase(line)
        facts = report.facts(job, machine, name)
        with Recorder(paths.intermediate, facts, trial.creator, display.say, stop) as recorder, ray_trainer(
            trial, machine, paths
        ) as trainer:
            history = History([paths.intermediate, paths.checkpoints])
            resume(trainer, paths, history, display)
            train(trainer, job.trial, paths, history, stop, display, recorder)
            export_best(trainer, paths, history, job, name, display, recorder)


def resources(machine: Machine) -> str:
    """What Ray gets, in words."""
    cpus, gpus = f"{machine.cpus} CPUs", f"{machine.gpus} GPU{'s' * (machine.gpus > 1)}"
    return f"{cpus}, {gpus}" if machine.gpus else cpus


def about_gpus(machine: Machine, trial: Mapping[str, Any]) -> Iterator[str]:
    """What a person who wants a GPU has to know of a job that trains on the CPU."""
    if has_cuda() and not machine.gpus:
        yield "no GPU here, so the CPU trains: `docker run --gpus all` gives one, `doctor` says what is missing"
    elif machine.gpus and not any(gpus_of(trial).values()):
        yield "the CPU trains: this experiment asks for no GPU, and config.num_gpus=1 would"


def gpus_of(trial: Mapping[str, Any]) -> Mapping[str, float]:
    """The GPUs that the trainer and each of its workers ask for, by RLlib's names."""
    config = algorithms.merged(algorithms.default_config(trial["run"]), trial["config"])
    return {name: config[name] for name in ("num_gpus", "num_gpus_per_worker")}


@contextmanager
def ray_trainer(trial: Trial, machine: Machine, paths: Paths) -> Iterator[Any]:
    """An RLlib trainer for the trial, in a Ray of its own."""
    from rl_app import cluster

    asked = gpus_of(trial.job.trial)
    with cluster.running(machine, **asked):
        check_gpus(asked["num_gpus"])
        trainer = build_trainer(trial, paths.intermediate)
        try:
            yield trainer
        finally:
            trainer.stop()


def check_gpus(num_gpus: float) -> None:
    """Raises UserError where TensorFlow sees fewer GPUs than the trainer asks for: it would train on the CPU, silently.

    It imports rllib before TensorFlow, which rllib has to configure.
    """
    if num_gpus == 0:
        return
    from ray.rllib.utils import try_import_tf

    seen = len(try_import_tf().config.list_physical_devices("GPU"))
    if seen < num_gpus:
        raise UserError(
            f"{hyperparameters.PREFIX}config.num_gpus = {num_gpus:g}: nvidia-smi lists a GPU that TensorFlow cannot "
            f"use, it sees {seen}: `doctor` says why; with 0 the CPU trains"
        )


def build_trainer(trial: Trial, directory: Path) -> Any:
    """Builds the trainer; what Tune's trial folder has (params.json, result.json, …) goes to ``directory``."""
    from ray.rllib.agents.registry import get_agent_class
    from ray.tune.registry import register_env

    from rl_app.models import with_lstm
    from rl_app.trial import TrialLogger

    job, env = trial.job, trial.job.trial["env"]
    register_env(env, trial.creator)
    return get_agent_class(job.trial["run"])(
        config=with_lstm({**job.trial["config"], "env": env, "seed": job.settings.seed}),
        env=env,
        logger_creator=lambda merged: TrialLogger(merged, str(directory)),
    )


def resume(trainer: Any, paths: Paths, history: History, display: Display) -> None:
    """Goes on from the newest checkpoint, where SageMaker (or local mode) has put some back."""
    newest = checkpoints.restore_newest(trainer, paths.checkpoints)
    if newest is not None:
        history.resume(paths.checkpoints, newest.iteration)
        display.phase(f"going on from iteration {newest.iteration}")


def train(
    trainer: Any,
    trial: Mapping[str, Any],
    paths: Paths,
    history: History,
    stop: StopRequest,
    display: Display,
    recorder: Recorder,
) -> None:
    """Iterates until a stop condition holds or a stop is asked for; ends with a checkpoint of what there is."""
    frequency, keep = trial.get("checkpoint_freq", 0), trial.get("keep_checkpoints_num")
    while not stop and not reached(history.rows[-1] if history.rows else None, trial["stop"]):
        try:
            with stop.iteration():
                result = trainer.train()
        except IterationDropped as dropped:
            display.phase(f"stopping: {dropped}, and is dropped")
            if checkpoints.kept(paths.checkpoints):
                return
            break
        history.add(row(result))
        display.iteration(history.rows[-1])
        if frequency and trainer.iteration % frequency == 0:
            checkpoints.save(trainer, paths.checkpoints)
            checkpoints.prune(paths.checkpoints, keep, history.reward_of)
            recorder.offer(trainer, history.reward_of(trainer.iteration))
    if stop:
        display.phase("stopping as asked")
    checkpoints.save(trainer, paths.checkpoints)
    checkpoints.prune(paths.checkpoints, keep, history.reward_of)


def reached(latest: Optional[Row], stop_at: Mapping[str, float]) -> bool:
    """Whether any stop condition holds, by Tune's rule: the metric is at least the limit."""
    return latest is not None and any(
        latest.get(key) is not None and latest[key] >= limit for key, limit in stop_at.items()
    )


def export_best(
    trainer: Any, paths: Paths, history: History, job: Job, name: str, display: Display, recorder: Recorder
) -> None:
    """Exports the best checkpoint, not the latest, as the model."""
    from rl_app.export import export

    best = checkpoints.best(paths.checkpoints, history.reward_of)
    display.phase(f"exporting the policy of iteration {best.iteration}, the best checkpoint")
    if best.iteration != trainer.iteration:
        trainer.restore(str(best.path))
    recorder.offer(trainer, history.reward_of(best.iteration))
    facts = next((known for known in history.rows if known["training_iteration"] == best.iteration), {})
    export(trainer, paths.model, best, {"job": name, "experiment": job.settings.experiment, **facts})
    display.phase(verdict(history, job.trial["stop"]))


def verdict(history: History, stop_at: Mapping[str, float]) -> str:
    """What became of the goal, in words."""
    goal = stop_at.get("episode_reward_mean")
    reward = history.rows[-1]["episode_reward_mean"] if history.rows else None
    if goal is None or reward is None:
        return "done"
    return f"solved: mean reward {reward:.2f}" if reward >= goal else f"not solved: mean reward {reward:.2f} of {goal}"
