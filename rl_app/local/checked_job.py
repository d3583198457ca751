"""What can be checked of a job before anything is made: a job that may start."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Dict, Iterator, Mapping, Optional, Sequence, Tuple, Union

from rl_app.errors import UserError
from rl_app.job import hyperparameters, metrics, offline, sagemaker, user_code
from rl_app.job.sagemaker import Paths
from rl_app.job.settings import PREFIX, Job, Settings
from rl_app.job.tune import COUNTED
from rl_app.local import channels, compose
from rl_app.local.channels import Data
from rl_app.local.hints import Caller
from rl_app.local.opt_ml import base_of, check_base
from rl_app.local.record import HEARTBEAT_S, utc_now
from rl_app.local.request import JobRequest, check, contents, experiments, job_of, settings_of
from rl_app.machine import detect, process_space, started_at
from rl_app.storage import artifacts, job_record, layout
from rl_app.storage.artifacts import Model
from rl_app.storage.base import Store
from rl_app.storage.job_record import Record
from rl_app.storage.opening import open_store


@dataclass(frozen=True)
class CheckedJob:
    """A job that may start; ``earlier`` is the job.json that it goes on from, {} for a new one.

    ``hyperparameters`` are those that were asked for, with those of the earlier run.
    ``code`` is what goes with the job as the user's own: the files and folders of a source, or of a program.
    ``models`` are what an evaluation evaluates, or a training begins with, by the channel that each goes to.
    ``channels`` are the user's own data, by the channel that each goes to.
    """

    store: Store
    asked: JobRequest
    hyperparameters: Dict[str, str]
    settings: Settings
    work: Optional[Path]
    earlier: Record
    code: Sequence[Path]
    models: Mapping[str, Model]
    caller: Caller
    channels: Mapping[str, Data] = field(default_factory=dict)

    @property
    def inputs(self) -> Mapping[str, Union[Model, Data]]:
        """What lies in each of its channels."""
        return {**self.models, **self.channels}

    @property
    def is_evaluation(self) -> bool:
        """Whether it plays, and does not train."""
        return self.asked.command == "evaluate"

    @property
    def name(self) -> Optional[str]:
        """The name that the job is to have, if one is given."""
        return self.asked.name


def check_job(
    asked: JobRequest, work: Optional[str], caller: Caller, environ: Mapping[str, str], hosts: Sequence[str] = ()
) -> CheckedJob:
    """Check all that can be checked before anything is made; raises UserError.

    Args:
        hosts: the containers that join the job, whose CPUs are not known yet.
    """
    machine = None if hosts else detect()
    check(asked, machine)
    store = open_store(asked.store or environ.get("STORE") or "runs", environ)
    compose.check_store(store, environ)
    if asked.command == "evaluate":
        models, settings = _evaluation(asked, store, environ)
        base = _work(work, store, asked.name, environ)
        data = channels.located(asked.channels, environ)
        return CheckedJob(store, asked, asked.raw, settings, base, {}, contents(asked), models, caller, data)
    earlier = _resumable(store, asked.resume) if asked.resume else {}
    raw = _merged(asked, earlier.get("HyperParameters", {}))
    # a job that goes on with the source that it was made with is checked once that is here
    known = None if _source_kept(store, asked.name, earlier) and not asked.code else experiments(asked)
    job = job_of(raw, machine, known)
    if job is not None:
        _check_env(job, asked)
        if earlier.get("TrainingJobStatus") == "Completed":
            _check_raised(store, asked.resume or "", job)
    settings = settings_of(raw, job)
    data = channels.located(channels.of_earlier(earlier, asked.channels), environ)
    if job is not None:
        offline.check(job.trial["config"], {name: each.top for name, each in data.items()})
    base = _work(work, store, asked.name, environ)
    if not hyperparameters.is_program(raw):
        raw["experiment"] = settings.experiment
    weights = (artifacts.locate(each, store, environ, checkpoints_too=True) for each in asked.models)
    models = dict(zip([sagemaker.WEIGHTS], weights))
    return CheckedJob(store, asked, raw, settings, base, earlier, contents(asked), models, caller, data)


def _merged(asked: JobRequest, before: Mapping[str, str]) -> Dict[str, str]:
    """Add what is asked for to the hyperparameters that a job had; raises UserError for another experiment."""
    if before and asked.raw.get("experiment", before.get("experiment")) != before.get("experiment"):
        raise UserError(f"--resume {asked.resume}: goes on with its own experiment, {before['experiment']}")
    return {**before, **(asked.hyperparameters if hyperparameters.is_program(before) else asked.raw)}


def _check_env(job: Job, asked: JobRequest) -> None:
    """Refuse an environment that is not there. Those of our own experiments are; Gym, which knows, takes a while."""
    name, own = job.trial["env"], f"{PREFIX}env"
    if asked.source or own in asked.hyperparameters:
        _check_env_name(name, asked.source)


def _check_env_name(name: str, directory: Optional[str]) -> None:
    own = user_code.known_envs(Path(directory).resolve()) if directory else {}
    if own is not None and name not in own:
        from rl_app.envs import ENVS
        from rl_app.envs.contract.creation import creator

        creator(name, envs={**ENVS, **own})


def _work(given: Optional[str], store: Store, name: Optional[str], environ: Mapping[str, str]) -> Optional[Path]:
    """Return the base directory that is given, if any; raises UserError where it, or else the job's own, is in use."""
    work = Path(given).absolute() if given else None
    base = work or (base_of(store, name, environ) if name else None)
    if base:
        check_base(Paths(base))
    return work


def _evaluation(asked: JobRequest, store: Store, environ: Mapping[str, str]) -> Tuple[Mapping[str, Model], Settings]:
    """Return what an evaluation evaluates, by channel, and its settings; raises UserError."""
    settings = hyperparameters.parse_evaluation(asked.hyperparameters)
    models = [artifacts.locate(each, store, environ) for each in asked.models] or [artifacts.newest(store)]
    if settings.env and (asked.source or not any(model.source for model in models)):
        _check_env_name(settings.env, asked.source)
    if asked.channels and len(models) > 1:
        given = " ".join(asked.channel_words())
        raise UserError(f"{given}: goes with one model, as without a channel model each channel is one to compare")
    by_channel = {sagemaker.MODEL: models[0]} if len(models) == 1 else dict(_channels(models))
    subject = f"{models[0].name[:30]}-evaluation"
    return by_channel, Settings(subject, "evaluate", settings.seed, settings.max_run)


def _channels(models: Sequence[Model]) -> Iterator[Tuple[str, Model]]:
    """Yield a channel for each model, named after it; two of one name are told apart by a number."""
    taken: Dict[str, int] = {}
    for model in models:
        name = re.sub("[^a-zA-Z0-9.-]+", "-", model.name)[:60].strip("-") or "model"
        taken[name] = taken.get(name, 0) + 1
        yield (name if taken[name] == 1 else f"{name}-{taken[name]}"), model


def _source_kept(store: Store, name: Optional[str], earlier: Record) -> bool:
    return bool(earlier) and bool(store.list(f"{name}/source"))


def _resumable(store: Store, name: str) -> Record:
    """Return the job.json of a job that has ended and can go on."""
    try:
        text = store.read(f"{name}/{layout.RECORD}")
    except FileNotFoundError:
        raise UserError(f"--resume {name}: {store.url} has no job of this name") from None
    record = job_record.read(text, f"--resume {name}: {store.url}/{name}/{layout.RECORD}")
    state = record["TrainingJobStatus"]
    if hyperparameters.is_evaluation(record.get("HyperParameters", {})):
        raise UserError(f"--resume {name}: it is an evaluation, which is started anew: scripts/evaluate")
    if state == "Completed" and hyperparameters.is_program(record.get("HyperParameters", {})):
        raise UserError(f"--resume {name}: it is Completed; only a Stopped or Failed program goes on")
    if state == "InProgress":
        _check_ended(name, record)
    return record


def _check_raised(store: Store, name: str, job: Job) -> None:
    """Refuse to go on with a job that is done: one of its stop conditions has to be raised."""
    file, text = f"{name}/{layout.CHECKPOINTS}/{layout.METRICS}", b""
    with suppress(FileNotFoundError):
        text = store.read(file)
    latest = (metrics.rows_of(text.decode("utf-8", "replace"), f"{store.url}/{file}") or [{}])[-1]
    stop = job.trial["stop"]
    for key in metrics.reached(latest, stop):
        of_more = f"a stop.{key} of more than {latest[key]:g}"
        raised = f"stop.{key}={latest[key] + stop[key]:g}" if key in COUNTED else of_more
        raise UserError(
            f"--resume {name}: it is Completed, with {key} {latest[key]:g} of {stop[key]:g}; "
            f"it goes on where that is raised, as by {raised}"
        )


def _check_ended(name: str, record: Record) -> None:
    """Refuse a job that still runs. One whose processes were killed says InProgress for ever."""
    local = record["Local"]
    if local["Space"] == process_space():
        if any(started_at(int(pid)) == started for pid, started in local["Processes"].items()):
            raise UserError(f"--resume {name}: it is still running, as process {', '.join(local['Processes'])}")
        return
    age = (utc_now() - datetime.fromisoformat(record["LastModifiedTime"])).total_seconds()
    left = 3 * HEARTBEAT_S - age
    if left > 0:
        raise UserError(
            f"--resume {name}: it was running on {local['Host']} {max(age, 0):.0f} s ago; "
            f"if it is not any more, try again in {left:.0f} s"
        )
