"""`scripts/completion`: what makes a shell complete commands, flags, jobs, experiments and hyperparameters.

The shell runs this module at each TAB, by the Python of `.venv-host`: no set-up, no Ray, a fraction of a second.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, NoReturn, Optional, Sequence

from rl_app import algorithms
from rl_app.envs import ENVS
from rl_app.experiments import EXPERIMENTS
from rl_app.job.hyperparameters import A_MACHINE
from rl_app.job.settings import PREFIX, Evaluation, Settings
from rl_app.job.tune import STOPS
from scripts.lib import cli, environments, known_jobs
from scripts.lib.environments import HOST, ROOT
from scripts.lib.jobs import STATES
from scripts.lib.rings import RINGS

EXAMPLES = """
examples:
  eval "$(scripts/completion)"          in bash, or in zsh after `autoload -U compinit && compinit`
  eval "$(/path/to/scripts/completion)" in ~/.bashrc or ~/.zshrc: for good

scripts/train <TAB> completes experiments, config.<TAB> the settings of the algorithm, scripts/watch <TAB> the jobs.
The scripts are completed as `scripts/NAME`, `./scripts/NAME` and by their whole path.
Exit status: 0 done, 1 failed, 2 refused.
"""
FUNCTION = "_complete_sagemaker_rllib"


@cli.command
def main(arguments: Sequence[str]) -> int:
    """Print the shell's code, or completes a line for it; return the exit status."""
    if "_ARGCOMPLETE" in os.environ:
        complete(os.environ["COMP_LINE"].split()[0])
    parse(arguments)
    environments.become_host()
    print(shell_code())
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = cli.parser("completion", "Print the code that makes a shell complete these scripts.", EXAMPLES)
    return parser.parse_args(list(arguments))


def shell_code() -> str:
    """Write what bash and zsh take: argcomplete's own code, and what it runs at each TAB."""
    import argcomplete

    names = sorted(path.name for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.suffix)
    typed = [f"{folder}scripts/{name}" for name in names for folder in ("", "./", f"{ROOT}/")]
    # env's python3 may be a shim that takes its time
    python = environments.interpreter(environments.environment_of(ROOT, [HOST]))
    run = f'{FUNCTION}() {{\n    "{python}" -X utf8 "{ROOT / "scripts" / "completion"}"\n}}\n'
    code: str = argcomplete.shellcode(typed, argcomplete_script=FUNCTION)
    return run + code


# ---- at each TAB ----


def complete(command: str) -> NoReturn:
    """Write the completions of the line that the shell has given, and end."""
    import argcomplete

    parser = parser_of(Path(command).name)
    for action in parser._actions:
        completer = completer_of(Path(command).name, action.dest)
        if completer:
            action.completer = completer  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser, always_complete_options=False)
    sys.exit(1)  # it does not return


class CaughtError(Exception):
    """A parser that was about to parse."""


def parser_of(command: str) -> argparse.ArgumentParser:
    """Catch the parser of a command as it begins to parse: its ``parse`` makes it and keeps it to itself."""
    module = importlib.import_module(f"scripts.commands.{command}")

    def catch(parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        raise CaughtError(parser)

    for name in ("parse_args", "parse_intermixed_args", "parse_known_intermixed_args"):
        setattr(argparse.ArgumentParser, name, catch)
    try:
        module.parse([])
    except CaughtError as caught:
        parser: argparse.ArgumentParser = caught.args[0]
    return parser


Completer = Callable[..., List[str]]


def completer_of(command: str, dest: str) -> Optional[Completer]:
    """Return what completes an argument; None leaves it to argcomplete, which knows choices, files and directories."""
    if dest == "words":
        return words_of_evaluation if command == "evaluate" else words
    if command == "deploy" or (dest, command) in (("job", "train"), ("job", "launch"), ("job", "evaluate")):
        return None  # a name of its own, or a job of SageMaker's
    if dest in ("job", "jobs", "resume", "rm") or (dest == "model" and command in ("serve", "launch")):
        return lambda **_: known_jobs.names()
    if (dest == "name" and command == "experiments") or dest == "experiment":
        return lambda **_: list(EXPERIMENTS)
    if dest == "state":
        return states
    if dest == "rings":
        return lambda **_: list(RINGS)
    return None


def states(prefix: str, **_: Any) -> List[str]:
    """List the states that `scripts/jobs --state` takes, in whichever case."""
    return [state.lower() if prefix.islower() else state for state in STATES]


def words(prefix: str, parsed_args: argparse.Namespace, **_: Any) -> List[str]:
    """List the experiments or KEY=VALUE of scripts/train; of scripts/launch those of what it launches."""
    if getattr(parsed_args, "command", None) == "evaluate":
        return words_of_evaluation(prefix)
    given = [word for word in parsed_args.words or [] if isinstance(word, str)]
    named = next((word for word in given if word in EXPERIMENTS), None)
    trial: Dict[str, Any] = EXPERIMENTS[named or Settings.experiment].on(A_MACHINE)
    run = next((word.rpartition("=")[2] for word in given if word.startswith(("run=", f"{PREFIX}run="))), trial["run"])
    config = algorithms.default_config(run if run in algorithms.NAMES else trial["run"])
    full = PREFIX if prefix.startswith(PREFIX[:3]) else ""
    values = {
        **{f"{full}config.{path}": value for path, value in leaves(config)},
        **dict.fromkeys((f"{full}stop.{name}" for name in STOPS)),
        **dict.fromkeys((f"{full}checkpoint_freq", f"{full}keep_checkpoints_num", "seed", "max_run", "env_deadline")),
    }
    choices = {f"{full}run": algorithms.NAMES, f"{full}env": tuple(ENVS)}
    return condensed(prefix, [*([] if named else EXPERIMENTS), *assignments(prefix, values, choices)])


def words_of_evaluation(prefix: str, **_: Any) -> List[str]:
    """List the jobs or KEY=VALUE of scripts/evaluate."""
    values = {name: getattr(Evaluation, name, None) for name in Evaluation.__dataclass_fields__}
    return [*known_jobs.names(), *assignments(prefix, values, {"algorithm": algorithms.NAMES, "env": tuple(ENVS)})]


def assignments(prefix: str, values: Mapping[str, Any], choices: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield KEY= of each setting; of one whose value is asked for, what it may be, as far as that is known."""
    key, given, _ = prefix.partition("=")
    if not given:
        yield from (f"{name}=" for name in (*values, *choices))
    elif key in choices:
        yield from (f"{key}={name}" for name in choices[key])
    elif isinstance(values.get(key), bool):
        yield from (f"{key}=true", f"{key}=false")


def condensed(prefix: str, words: Sequence[str]) -> List[str]:
    """List the words that go on from ``prefix``, those of one group by its name, unless there is one group alone."""
    fitting = [word for word in words if word.startswith(prefix)]
    groups = {re.match(re.escape(prefix) + r"[^.]*\.?", word)[0]: word for word in fitting}  # type: ignore[index]
    return list(groups) if len(groups) > 1 and "=" not in prefix else fitting


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[Any]:
    """Yield (path, value) of each setting below, and of the groups that are empty."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
