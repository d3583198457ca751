"""What a person may do after a job: commands that work as they are printed, where the job was started."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Sequence

from rl_app.local.request import JobRequest, with_another_seed
from rl_app.masking import masked_word
from rl_app.storage.opening import directory_of


@dataclass(frozen=True)
class Caller:
    """What of a script's command line its hints repeat, for without it they would mean something else.

    ``code`` are the flags of the user's own code, with its paths on the machine where they were typed; None where
    these cannot be known; ``channels`` are those of the user's data. ``in_docker`` is whether the job's own store is
    that of docker-compose.yml; ``volume`` is where a job in Docker runs. ``folder`` is where it was typed, "" where
    that is here, and ``scripts`` the scripts' folder as it can be typed there.
    """

    engine: Optional[str] = None
    gpu: bool = False
    store: Optional[str] = None
    code: Optional[Sequence[str]] = field(default_factory=list)
    in_docker: bool = False
    volume: str = ""
    hosts: int = 1
    channels: Sequence[str] = field(default_factory=list)
    folder: str = ""
    scripts: str = "scripts"

    def script(self, name: str) -> str:
        """Return how a script is typed."""
        return f"{self.scripts}/{name}"

    def to_json(self) -> str:
        """Return it as a word of a command line."""
        return json.dumps(asdict(self))

    def place(self) -> List[str]:
        """Return the flags that say where jobs are and run."""
        flags = [("--engine", self.engine), ("--store", self.store)]
        return [word for name, value in flags if value for word in (name, value)]

    def trains(self) -> List[str]:
        """Return the same, and those that say on what a job trains, of the machine and of the user's data."""
        hosts = ["--hosts", str(self.hosts)] if self.hosts > 1 else []
        return [*self.place(), *(["--gpu"] if self.gpu else []), *hosts, *self.channels]


def caller_of(text: Optional[str], request: JobRequest, in_docker: bool, store: str = "") -> Caller:
    """Make the caller that a script has described, or that of a job that no script has started.

    Args:
        store: what the environment names, which has to be said where it is a directory, for the next command has it
            from the environment only where that is still the same.
    """
    named = directory_of(store)
    if named and not in_docker and not request.store:
        return replace(caller_of(text, request, in_docker), store=str(named))
    if text:
        return Caller(**{**json.loads(text), "in_docker": in_docker})
    if in_docker:  # where the paths are those of the container
        code: Optional[Sequence[str]] = None if request.code else []
        return Caller(store=request.store, code=code, in_docker=True, channels=request.channel_words())
    return Caller("process", store=request.store, code=request.code_words(), channels=request.channel_words())


class Left(NamedTuple):
    """What a job left in its store, whether its code is kept there and a model is, and whether it ran a program."""

    program: bool
    output: bool
    checkpoints: bool
    kept_source: bool
    model: bool = True


def after(
    request: JobRequest, name: str, status: str, seed: Optional[int], left: Left, caller: Caller
) -> Iterator[str]:
    """Yield the commands that make sense after the job, each with what it does.

    Args:
        request: with all hyperparameters of the job, also those that an earlier run of it was given.
        status: as DescribeTrainingJob has it.
        seed: what it was trained with.
    """
    if request.command == "evaluate" or (left.program and status == "Completed"):
        if left.output:
            what = "its report.html, evaluation.json and videos" if request.command == "evaluate" else "what it left"
            yield hint(fetch(name, caller), what)
    elif status == "Completed":
        if left.model:
            yield hint([caller.script("evaluate"), name, *caller.place()], "what the policy is worth")
        if caller.code is not None and not (left.kept_source and not caller.code):
            settings = map(masked_word, with_another_seed(request, seed).settings())
            again = [*settings, *caller.code, *caller.trains()]
            yield hint([caller.script("train"), *again], "the same with another seed")
    else:
        how = "go on from the last checkpoint" if left.checkpoints else "start it again, as it had no checkpoint"
        if status == "Stopped" or left.checkpoints:
            yield hint([caller.script("train"), "--resume", name, *caller.trains()], how)
        if left.checkpoints and not (left.model or left.program or _exports_nothing(request)):
            enough = ["--resume", name, "stop.training_iteration=1", *caller.trains()]
            yield hint([caller.script("train"), *enough], "the model of its best checkpoint, without more training")
        if status == "Failed" and left.output:
            yield hint(fetch(name, caller), "what it left until then")


def _exports_nothing(request: JobRequest) -> bool:
    return request.hyperparameters.get("export", "").lower() == "false"


def fetch(name: str, caller: Caller) -> List[str]:
    """Return the command that brings a job's files here; MinIO's other buckets have no URL outside of Docker."""
    if caller.in_docker and caller.store:
        return [f"STORE={caller.store}", caller.script("fetch"), name, "--store", "compose"]
    return [caller.script("fetch"), name, *(["--store", caller.store] if caller.store else [])]


def upload(name: str, caller: Caller, work: Optional[Path]) -> str:
    """Return the line of the command that brings to the store what is kept of a job, where it ran."""
    what = "brings that to the store, once it is back"
    if work:
        words = [*(["--store", caller.store] if caller.store else []), "--work", str(work)]
        return hint(["python", "-m", "rl_app", "local", "upload", name, *words], what)
    return hint([caller.script("upload"), name, *caller.place()], what)


def hint(command: Sequence[str], what: str) -> str:
    """Return the line of one command."""
    return f"  next   {' '.join(map(shlex.quote, command))}    {what}"
