"""A trial as a job has it, and RLlib's trainer for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, ContextManager, Dict, Iterator, Mapping, Optional

from rl_app import algorithms, plain
from rl_app.errors import UserError
from rl_app.job import agents
from rl_app.job.settings import PREFIX, Job
from rl_app.machine import Machine, detect, has_cuda
from rl_app.policy import own_classes, several
from rl_app.policy.own_classes import NO_CLASSES, OwnClasses, chosen
from rl_app.policy.several import Several
from rl_app.training import estimates, trainers
from rl_app.training.imports import import_rllib

if TYPE_CHECKING:
    from rl_app.envs.contract.creation import Creator
    from rl_app.training.cluster import Cluster


NO_CONSTANT = (
    "is no constant of Python: evaluations have an array as a list, a path as text, else nothing; "
    "their own env_config={…} gives others"
)


@dataclass(frozen=True)
class Trial:
    """What the job built into the image trains: the checked job, its environments, and the user's own classes.

    Attributes:
        several: the policies of a job that names some, which are known once its environment has been tried.
    """

    job: Job
    envs: Mapping[str, Callable[..., Any]]
    own: OwnClasses = NO_CLASSES
    several: Optional[Several] = None

    @property
    def creator(self) -> Creator:
        """What RLlib makes its environments with."""
        return self.made(as_rllib=True, many=True)

    def made(self, strict: bool = False, as_rllib: bool = False, many: bool = False) -> Creator:
        """Return what makes the environment, by default with the spaces that it declares itself.

        Args:
            many: one that steps as many at once as the config says, where it can.
        """
        from rl_app.envs.contract.checked import Manner, no_spaces
        from rl_app.envs.contract.creation import creator
        from rl_app.envs.contract.vector import envs_at_once

        settings, output = self.job.settings, self.job.trial["config"].get("output")
        strict = strict or settings.strict_spaces
        spaces = several.given_spaces(self.job.trial["config"].get("multiagent") or {}) or no_spaces
        manner = Manner(settings.env_deadline, strict, as_rllib, output is not None, not as_rllib, spaces)
        at_once = envs_at_once(self.envs.get(self.job.trial["env"]), self.config) or 0
        return creator(self.job.trial["env"], settings.seed, self.envs, manner, at_once if many else None)

    def steps_many(self, env: Any) -> bool:
        """Say whether it is trained in many at once; ``env`` is what evaluations play."""
        from rl_app.envs.contract import vector

        return vector.steps_many(env, self.envs.get(self.job.trial["env"]), self.config)

    @property
    def config(self) -> Dict[str, Any]:
        """The trial's config with the defaults of its algorithm."""
        return config_of(self.job.trial)

    def with_workers(self, number: int) -> Trial:
        """Return the same with so many workers."""
        config = {**self.job.trial["config"], "num_workers": number}
        return replace(self, job=replace(self.job, trial={**self.job.trial, "config": config}))

    @property
    def exports_own(self) -> bool:
        """Says whether what it exports has classes of the user's own in it, which may not let themselves be."""
        own = (chosen(config) for config in agents.configs(self.job.trial["config"]))
        return self.job.settings.export and any(own)

    @property
    def needs_ray(self) -> bool:
        """Says whether Ray has to run for it."""
        return trainers.needs_ray(self.job.trial["run"], self.config)


def config_of(trial: Mapping[str, Any]) -> Dict[str, Any]:
    """Give a trial's config with the defaults of its algorithm."""
    return algorithms.merged(algorithms.default_config(trial["run"]), trial["config"])


def gpus_of(trial: Mapping[str, Any]) -> Mapping[str, float]:
    """Return the GPUs that the trainer and each of its workers ask for, by RLlib's names."""
    config = config_of(trial)
    return {name: config[name] for name in ("num_gpus", "num_gpus_per_worker")}


def about_gpus(machine: Machine, trial: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a person who wants a GPU has to know of a job that trains on the CPU."""
    if has_cuda() and not machine.gpus:
        yield "no GPU here, so the CPU trains: `docker run --gpus all` gives one, `doctor` says what is missing"
    elif machine.gpus and not any(gpus_of(trial).values()):
        yield "the CPU trains: this experiment asks for no GPU, and config.num_gpus=1 would"


def runtime(
    trial: Trial, machine: Machine, died: Callable[[str], None], cluster: Optional[Cluster] = None
) -> ContextManager[None]:
    """Return what the trainer runs in: Ray where something needs it, and the GPUs that it asks for.

    Args:
        died: told which of Ray's processes has ended, without which the trainer would wait for ever.
        cluster: the job's hosts, where it has several.
    """
    from rl_app.training import ray_runtime

    gpus = gpus_of(trial.job.trial)
    if trial.needs_ray:
        return ray_runtime.running(machine, **gpus, died=died, cluster=cluster)
    return ray_runtime.imported(machine, gpus["num_gpus"])


def classes_of(directory: Optional[Path], job: Job) -> OwnClasses:
    """Return what RLlib is given of a source, which is imported with the GPUs in sight that the trainer will see.

    Raises:
        UserError: it cannot be imported, or is no class of RLlib's.
    """
    if directory is None or not own_classes.there(directory):
        return NO_CLASSES
    from rl_app.training import ray_runtime

    with ray_runtime.imported(detect(), gpus_of(job.trial)["num_gpus"]):
        import_rllib()
        return own_classes.load(directory)


def try_environment(trial: Trial, is_own: bool, say: Callable[[str], None]) -> Trial:
    """Try out the environment, and where it is the user's own and steps many at once, that too.

    Returns:
        The trial, with what is known now of its policies.

    Raises:
        UserError: what is wrong with the environment, or with the policies in it.
    """
    from rl_app.envs.contract import newer
    from rl_app.envs.contract.trial import try_out, try_out_many
    from rl_app.policy import exportable
    from rl_app.training import truncation

    asked, seed = trial.job.trial, trial.job.settings.seed
    env = try_out(trial.made(strict=True, as_rllib=True), asked["env"], asked, trial.config, seed)
    for place in plain.changed(asked["config"].get("env_config") or {}, f"{PREFIX}config.env_config"):
        say(f"{place}: {NO_CONSTANT}")
    if newer.is_adapted(env):
        say(truncation.about(asked["env"], asked["run"], trial.config))
    if is_own and trial.steps_many(env):
        try_out_many(trial.made(strict=True, as_rllib=True, many=True)(asked["config"].get("env_config", {})), seed)
    if agents.policies(asked["config"]):
        if trial.job.settings.export:
            exportable.check_classes(asked["config"]["multiagent"])
        return replace(trial, several=several.found(env, asked["env"], asked["config"]["multiagent"]))
    several.check_one(env, asked["env"])
    return trial


def check_gpus(num_gpus: float) -> None:
    """Raise UserError where TensorFlow sees fewer GPUs than the trainer asks for: it would train on the CPU, silently.

    It imports rllib before TensorFlow, which rllib has to configure.
    """
    if num_gpus == 0:
        return
    from ray.rllib.utils import try_import_tf

    seen = len(try_import_tf().config.list_physical_devices("GPU"))
    if seen < num_gpus:
        raise UserError(
            f"{PREFIX}config.num_gpus = {num_gpus:g}: nvidia-smi lists a GPU that TensorFlow cannot "
            f"use, it sees {seen}: `doctor` says why; with 0 the CPU trains"
        )


def build_trainer(trial: Trial, directory: Path) -> Any:
    """Build the trainer; what Tune's trial folder has (params.json, result.json, …) goes to ``directory``."""
    import_rllib()
    from ray.tune.registry import register_env

    from rl_app.policy.lstm import with_lstm
    from rl_app.training.trial_logger import TrialLogger

    job, env = trial.job, trial.job.trial["env"]
    check_gpus(gpus_of(job.trial)["num_gpus"])
    register_env(env, trial.creator)
    asked = with_lstm({**trial.own.registered(job.trial["config"]), "env": env, "seed": job.settings.seed})
    given, kept = (trial.several.rllibs(asked), trial.several.written(asked)) if trial.several else (asked, asked)
    trainer = trainers.built(
        job.trial["run"],
        job.trial["config"],
        job.settings.fast,
        lambda kind: kind(config=given, env=env, logger_creator=lambda merged: TrialLogger(kept, str(directory))),
    )
    trainer.several = trial.several
    if job.trial["config"].get("input_evaluation"):
        estimates.correct(trainer)
    if job.settings.filter_clip is not None:
        clip_filters(trainer, job.settings.filter_clip)
    return trainer


def clip_filters(trainer: Any, most: float) -> None:
    """Have observation filters cut what they give to ±most, which RLlib's class can and no config of it asks for."""

    def clip(worker: Any) -> None:
        for each in worker.filters.values():
            each.clip = most

    trainer.workers.foreach_worker(clip)
    if getattr(trainer, "evaluation_workers", None):
        trainer.evaluation_workers.foreach_worker(clip)
