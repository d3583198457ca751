"""One job as it is asked for, wherever it runs: as a process, in Docker or on SageMaker.

Nothing here needs more than the standard library, so that a laptop refuses what the job would.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from rl_app.errors import UserError
from rl_app.experiments import EXPERIMENTS
from rl_app.job import agents, hyperparameters, offline, sagemaker, user_code
from rl_app.job.settings import PREFIX, Job, Settings
from rl_app.local import channels, flags
from rl_app.local.durations import max_run, until_interrupted
from rl_app.machine import Machine
from rl_app.policy.own_classes import NO_CLASSES

Place = Callable[[str], str]
"""Says where a file or directory of this machine is where the job runs."""


@dataclass(frozen=True)
class JobRequest:
    """A job, as the command line and the environment ask for it.

    ``hyperparameters`` have their full names, and ``command`` is not among them; ``models`` are what an evaluation
    evaluates, none for the newest, or the one that a training begins with; ``channels`` are where the user's own data
    lies, by name. Paths are as they were given.
    """

    command: str
    hyperparameters: Mapping[str, str]
    models: Sequence[str] = ()
    job: Optional[str] = None
    resume: Optional[str] = None
    store: Optional[str] = None
    source: Optional[str] = None
    program: Optional[str] = None
    dependencies: Sequence[str] = ()
    interrupt_after: Optional[str] = None
    channels: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> Optional[str]:
        """The name that the job is to have, if one is given."""
        return self.resume or self.job

    @property
    def code(self) -> List[str]:
        """The files and directories of the user's own that go with the job."""
        return [path for path in (self.source, self.program, *self.dependencies) if path]

    @property
    def raw(self) -> Dict[str, str]:
        """The hyperparameters as the container gets them."""
        command = {} if self.program else {"command": self.command}
        program = {"sagemaker_program": Path(self.program).name} if self.program else {}
        return {**command, **self.hyperparameters, **program}

    def to_words(self, placed: Place = str) -> List[str]:
        """Return the words that ask for the same job elsewhere; :func:`parse` reads them."""
        store = self.store
        if store and "://" not in store and placed is not str:
            store = os.path.abspath(store)
        models = [placed(model) if is_path(model) else model for model in self.models]
        words = models if self.command == "evaluate" else [word for model in models for word in ("--from", model)]
        words = [*words, *self.settings()]
        for name, value in self._named(store):
            words += [name, value] if value else []
        return words + self.channel_words(placed) + self.code_words(placed)

    def settings(self) -> List[str]:
        """Return the experiment and the words KEY=VALUE, keys as short as they can be typed."""
        given = dict(self.hyperparameters)
        first = given.pop("experiment", None) if self.command == "train" and not self.program else None
        whole = self.command == "evaluate" or self.program is not None
        return ([first] if first else []) + [f"{key if whole else short(key)}={value}" for key, value in given.items()]

    def _named(self, store: Optional[str]) -> List[Tuple[str, Optional[str]]]:
        again = ("--interrupt-after", self.interrupt_after)
        return [("--job", self.job), ("--resume", self.resume), ("--store", store), again]

    def mounts(self) -> List[str]:
        """Return the files and directories of this machine that the job has to see."""
        data = (place for place in self.channels.values() if "://" not in place)
        return [*(model for model in self.models if is_path(model)), *data, *self.code]

    def channel_words(self, placed: Place = str) -> List[str]:
        """Return the flags of the user's own data."""
        places = self.channels.items()
        return channels.words({name: place if "://" in place else placed(place) for name, place in places})

    def code_words(self, placed: Place = str) -> List[str]:
        """Return the flags of the user's own code."""
        pairs = [("--source", self.source), ("--program", self.program)]
        pairs += [("--dependency", path) for path in self.dependencies]
        return [word for name, path in pairs if path for word in (name, placed(path))]


def short(key: str) -> str:
    """Return the key without ``rl.training.``, where that means the same."""
    bare = key[len(PREFIX) :] if key.startswith(PREFIX) else key
    return bare if hyperparameters.qualify(bare) == key else key


def is_path(model: str) -> bool:
    """Return whether a word means a file or directory of this machine, not a job or a URL."""
    return "://" not in model and (os.path.exists(model) or "/" in model or model.endswith(".gz"))


def is_setting(word: str) -> bool:
    """Return whether a word is KEY=VALUE, and not a path or URL with such a sign in it, as `runs/lr=0.1`."""
    key, equals, _ = word.partition("=")
    return bool(equals) and "://" not in key and not ("/" in word and os.path.exists(word))


# ---- read


def parse(options: argparse.Namespace, command: str, environ: Mapping[str, str] = os.environ) -> JobRequest:
    """Make the request of a command line that :func:`flags.read` has read, and of the environment.

    EXPERIMENT, HYPERPARAMETERS, JOB, MODEL and CHANNELS of the environment count where an argument is not given.
    Its STORE does not: that is where the job's own environment keeps jobs, and is asked there.

    Raises:
        UserError: a flag of another command, or words that cannot be read.
    """
    flags.refuse_others(options, command)
    if options.dependency and not options.program:
        raise UserError(f"--dependency {options.dependency[0]}: goes with --program")
    read = _training if command == "train" else _evaluation
    given, models = read(options, environ)
    job = JobRequest(
        command=command,
        hyperparameters=given,
        models=models,
        job=options.job or (None if options.resume else environ.get("JOB") or None),
        resume=options.resume,
        store=options.store,
        source=options.source,
        program=options.program,
        dependencies=tuple(options.dependency),
        interrupt_after=options.interrupt_after,
        channels=channels.parse(options.channel or _words(environ, "CHANNELS")),
    )
    until_interrupted(job.interrupt_after)
    return job


def _training(options: argparse.Namespace, environ: Mapping[str, str]) -> Tuple[Dict[str, str], Sequence[str]]:
    """Return the hyperparameters of a training job, and the model that it begins with, if any."""
    settings = [word for word in options.words if "=" in word] + flags.shorthands(options)
    bare = [word for word in options.words if "=" not in word] + ([options.experiment] if options.experiment else [])
    if options.program:
        if bare:
            raise UserError(f"{bare[0]}: expected KEY=VALUE, as --program takes no experiment")
        return hyperparameters.assignments(settings, str), ()
    if len(bare) > 1:
        raise UserError(f"{' and '.join(bare)}: a job has one experiment, and settings are KEY=VALUE")
    asked = _from_text(environ.get("HYPERPARAMETERS", "").strip(), hyperparameters.qualify)
    if environ.get("EXPERIMENT") and not options.resume:
        asked["experiment"] = environ["EXPERIMENT"]
    asked.update(hyperparameters.assignments([*(f"experiment={word}" for word in bare), *settings]))
    return _of_command(asked, "train"), tuple(filter(None, [getattr(options, "from")]))


def _evaluation(options: argparse.Namespace, environ: Mapping[str, str]) -> Tuple[Dict[str, str], Sequence[str]]:
    """Return the hyperparameters of an evaluation, and its models."""
    settings = [word for word in options.words if is_setting(word)] + flags.shorthands(options)
    models = [word for word in options.words if not is_setting(word)] + ([options.model] if options.model else [])
    asked = _from_text(environ.get("HYPERPARAMETERS", "").strip(), str)
    asked.update(hyperparameters.assignments(settings, str))
    return _of_command(asked, "evaluate"), tuple(models or _words(environ, "MODEL"))


def _of_command(asked: Dict[str, str], command: str) -> Dict[str, str]:
    """Return the hyperparameters less the command, which is another's word to say; raises UserError for another one."""
    other = asked.pop("command", command)
    if other.strip('"') != command:
        raise UserError(f"command = {other}: but this is {command}, and the command is its first word")
    return asked


def _words(environ: Mapping[str, str], name: str) -> List[str]:
    try:
        return shlex.split(environ.get(name, ""))
    except ValueError as error:
        raise UserError(f"{name} {environ[name]!r}: must be words as in a shell ({error})") from None


def _from_text(text: str, full: Callable[[str], str]) -> Dict[str, str]:
    try:
        if not text.startswith("{"):
            return hyperparameters.assignments(shlex.split(text), full)
        values = json.loads(text).items()
    except ValueError as error:
        raise UserError(f"HYPERPARAMETERS {text!r}: must be words KEY=VALUE or a JSON object ({error})") from None
    words = [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in values]
    return hyperparameters.assignments(words, full)


# ---- checked


def check(request: JobRequest, machine: Optional[Machine] = None) -> None:
    """Refuse what the job would refuse, before anything is installed, built or stored.

    Args:
        machine: that on which the job runs, where this is it.

    Raises:
        UserError: with the key, the value and what is allowed.
    """
    if request.name:
        sagemaker.check_job_name(request.name)
    contents(request)
    channels.check(request.channels)
    for model in request.models:
        if is_path(model) and not os.path.exists(os.path.expanduser(model)):
            raise UserError(f"{model}: there is no such file or directory")
    if request.command == "evaluate":
        hyperparameters.parse_evaluation(request.hyperparameters)
    elif not request.resume:  # what an earlier job adds is known with its record alone
        job = job_of(request.raw, machine, experiments(request))
        if job is not None:
            offline.check(job.trial["config"], channels.listed(request.channels))
            for config in agents.configs(job.trial["config"]) if not request.source else ():
                NO_CLASSES.check(config)


def contents(request: JobRequest) -> Sequence[Path]:
    """List the files and directories that go with the job as the user's own.

    Raises:
        UserError: one is not there, or as :func:`user_code.check_packable`.
    """
    if request.source:
        return user_code.contents(Path(request.source))
    given = [Path(path) for path in request.code]
    for path in given:
        if not path.exists():
            raise UserError(f"{path}: there is no such file or directory")
    if request.program:
        sagemaker.check_program(Path(request.program))
    user_code.check_packable(given)
    return given


def experiments(request: JobRequest) -> Optional[Mapping[str, Any]]:
    """Return the experiments that the job knows; None where its source can be imported only where the job runs."""
    return user_code.known_experiments(Path(request.source).resolve()) if request.source else EXPERIMENTS


def job_of(raw: Mapping[str, str], machine: Optional[Machine], known: Optional[Mapping[str, Any]]) -> Optional[Job]:
    """Return the job that the hyperparameters describe; None for a program's, which are its own business.

    Raises:
        UserError: one is unknown, of a wrong type or impossible.
    """
    if hyperparameters.is_program(raw) or known is None:
        max_run(raw)
        return None
    return hyperparameters.parse(raw, machine, known)


def policies(request: JobRequest) -> List[str]:
    """List the policies of a training job that names several, as far as they can be known here."""
    known = experiments(request) if request.command == "train" else None
    job = job_of(request.raw, None, known)
    return [] if job is None else list(agents.policies(job.trial["config"]))


def settings_of(raw: Mapping[str, str], job: Optional[Job]) -> Settings:
    """Return the settings of a job, as far as they can be known here; raises UserError."""
    if job is not None:
        return job.settings
    subject = Path(raw.get("sagemaker_program", raw.get("experiment", Settings.experiment))).stem
    return Settings(experiment=subject, max_run=max_run(raw))


def with_another_seed(request: JobRequest, seed: Optional[int]) -> JobRequest:
    """Return the same job with the next seed, under a name of its own."""
    others = {key: value for key, value in request.hyperparameters.items() if key != f"{PREFIX}config.seed"}
    return replace(request, hyperparameters={**others, "seed": str((seed or 0) + 1)}, job=None, resume=None)
