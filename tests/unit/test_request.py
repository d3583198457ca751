"""A job as it is asked for: one grammar for scripts/train, evaluate and launch, and for `python -m rl_app local`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Dict, List, Mapping

import pytest

from rl_app.errors import UserError
from rl_app.job.settings import Evaluation
from rl_app.local import flags, request
from rl_app.local.request import JobRequest
from scripts.lib.environments import ROOT

NAMES = ("EXPERIMENT", "HYPERPARAMETERS", "JOB", "STORE", "MODEL", "SAGEMAKER_BASE_DIR")


def asked(command: str, *words: str, environ: Mapping[str, str] = {}) -> JobRequest:
    parser = argparse.ArgumentParser()
    flags.declare(parser, [command])
    return request.parse(flags.read(parser, words), command, environ)


def said(command: List[str], cwd: Path) -> List[str]:
    """The lines that a command refuses its words with."""
    environ: Dict[str, str] = {key: value for key, value in os.environ.items() if key not in NAMES}
    environ.update(S3_PORT="1", PYTHONPATH=str(ROOT), AWS_DEFAULT_REGION="eu-west-1", AWS_EC2_METADATA_DISABLED="true")
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    return done.stderr.splitlines()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("train", ["a", "b"]),
        ("train", ["cartpol"]),
        ("train", ["--dependency", "examples"]),
        ("train", ["--episodes", "3"]),
        ("train", ["--lr", "0.001"]),
        ("train", ["--learning-rate=0.001"]),
        ("train", ["--sorce", "x"]),
        ("train", ["--source", "none"]),
        ("train", ["--source", str(ROOT / "examples"), "corridor"]),
        ("train", ["--source", "none", "--program", "none.py"]),
        ("train", ["--program", "none.py"]),
        ("train", ["config.leanring_rate=1"]),
        ("train", ["seed=1", "--seed", "2"]),
        ("train", ["--job", "no spaces"]),
        ("train", ["--max-run", "0"]),
        ("evaluate", ["first", "config.lr=1"]),
        ("evaluate", ["first", "--program", "none.py"]),
        ("evaluate", ["first", "--episodes", "0"]),
        ("evaluate", ["first", "--source", "none"]),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value).replace(str(ROOT), ""),
)
def test_every_command_line_gives_the_same_answer(command: str, words: List[str], tmp_path: Path) -> None:
    local = said([sys.executable, "-m", "rl_app", "local", command, *words, "--store", "nowhere"], tmp_path)
    engine = ["--engine", "process"]
    assert len(local) == 1
    assert said([str(ROOT / "scripts" / command), *words, *engine], tmp_path) == local
    launched = [
        str(ROOT / "scripts" / "launch"),
        command,
        *words,
        "--dry-run",
        "--role",
        "arn:aws:iam::123456789012:role/r",
    ]
    assert said(launched, tmp_path) == local
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--lr", "0.001"], "--lr: no such flag; hyperparameters have none: lr=0.001"),
        (["--learning-rate=0.1"], "--learning-rate: no such flag; hyperparameters have none: learning_rate=0.1"),
        (["--sorce", "x"], "--sorce: no such flag; did you mean --source?"),
        (["--episodes", "3"], "--episodes 3: goes with evaluate, not with train"),
        (["a", "b"], "a and b: a job has one experiment, and settings are KEY=VALUE"),
        (["--job", "a", "--resume", "b"], "--job a: not together with --resume b"),
        (["--from", "a", "--resume", "b"], "--from a: not together with --resume b"),
        (["--from", "a", "--program", "p.py"], "--from a: not together with --program p.py"),
        (["--interrupt-after", "1m"], "--interrupt-after 1m: whole seconds, at least 1, such as 20 or 20s"),
        (["--interrupt-after", "0s"], "--interrupt-after 0s: whole seconds, at least 1, such as 20 or 20s"),
        (["--dependency", "d"], "--dependency d: goes with --program"),
        (["--program", "p.py", "loose"], "loose: expected KEY=VALUE, as --program takes no experiment"),
        (["command=evaluate"], "command = evaluate: but this is train, and the command is its first word"),
        (["--resume", ""], "--resume '': a word that is empty"),
        (["--from="], "--from '': a word that is empty"),
        (["", "seed=1"], "'': a word that is empty"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_refusal_names_the_right_form(words: List[str], line: str) -> None:
    with pytest.raises(UserError) as refused:
        asked("train", *words)
    assert str(refused.value) == line


def test_what_is_unambiguous_is_taken() -> None:
    meant = {"experiment": "cartpole-aws", "rl.training.config.lr": "0.001", "seed": "3", "max_run": "60"}
    assert asked("train", "cartpole-aws", "config.lr=0.001", "seed=3", "max_run=60").hyperparameters == meant
    flagged = asked("train", "--experiment", "cartpole-aws", "lr=0.001", "--seed", "3", "--max-run", "60")
    assert flagged.hyperparameters == meant


def test_what_is_no_experiment_is_none_of_its_settings_either() -> None:
    with pytest.raises(UserError, match=r'experiment = "lr=0\.1": one of'):
        request.check(asked("train", "--experiment", "lr=0.1"))


def test_a_setting_may_be_empty() -> None:
    assert asked("train", "--program", "p.py", "label=").hyperparameters == {"label": ""}


def test_a_model_may_have_the_sign_of_a_setting_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lr=0.1" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for place in ("lr=0.1/model", "s3://bucket/lr=0.1/model.tar.gz"):
        for words in ([place], ["--model", place]):
            made = asked("evaluate", *words, "evaluate_episodes=3")
            assert (made.models, made.hyperparameters) == ((place,), {"evaluate_episodes": "3"})
            assert asked("evaluate", *made.to_words(os.path.abspath)).models in ((place,), (os.path.abspath(place),))


def test_what_a_job_begins_with_is_asked_for_in_the_same_words_elsewhere() -> None:
    job = asked("train", "catch", "--from", "first", "seed=3")
    assert (job.models, job.to_words()) == (("first",), ["--from", "first", "catch", "seed=3"])
    assert asked("train", *job.to_words()) == job


def test_the_environment_is_asked_where_an_argument_is_not_given() -> None:
    environ = {"EXPERIMENT": "catch", "HYPERPARAMETERS": '{"seed": 3, "lr": 0.1}', "JOB": "mine", "STORE": "elsewhere"}
    made = asked("train", "seed=4", environ=environ)
    assert made.hyperparameters == {"experiment": "catch", "seed": "4", "rl.training.config.lr": "0.1"}
    assert (made.job, made.store) == ("mine", None)
    assert asked("evaluate", environ={"MODEL": "first 'the second'"}).models == ("first", "the second")


@pytest.mark.parametrize(
    ("command", "name", "text", "said"),
    [
        ("train", "CHANNELS", "data='x", "must be words as in a shell (No closing quotation)"),
        ("evaluate", "MODEL", "o'brien/model.tar.gz", "must be words as in a shell (No closing quotation)"),
        ("train", "HYPERPARAMETERS", "lr='1", "must be words KEY=VALUE or a JSON object (No closing quotation)"),
    ],
)
def test_a_setting_that_is_no_words_is_refused(command: str, name: str, text: str, said: str) -> None:
    with pytest.raises(UserError) as refused:
        asked(command, environ={name: text})
    assert str(refused.value) == f"{name} {text!r}: {said}"


@pytest.mark.parametrize("text", ['{"lr": 0.1, "config.lr": 0.2}', "lr=0.1 config.lr=0.2"])
def test_one_hyperparameter_by_two_names_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"rl\.training\.config\.lr = 0\.2: given twice, before as 0\.1"):
        asked("train", environ={"HYPERPARAMETERS": text})


def test_a_directory_is_no_program(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"--program {tmp_path}: is a directory; it takes the file that is to run"):
        request.check(asked("train", "--program", str(tmp_path)))


def test_a_program_that_a_shell_starts_has_a_name_that_it_takes_as_one(tmp_path: Path) -> None:
    for name in ("my prog.sh", "my prog.py", "prog.sh"):
        (tmp_path / name).write_text("")
    request.check(asked("train", "--program", str(tmp_path / "my prog.py")))
    request.check(asked("train", "--program", str(tmp_path / "prog.sh")))
    with pytest.raises(UserError, match=r"my prog\.sh: a shell starts it, and takes such a name apart: rename it"):
        request.check(asked("train", "--program", str(tmp_path / "my prog.sh")))


def test_a_file_of_a_source_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "envs.py").write_text("")
    with pytest.raises(UserError, match=f"--program {tmp_path}/envs.py: a file of a source, by its name"):
        request.check(asked("train", "--program", str(tmp_path / "envs.py")))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("train", []),
        ("train", ["cartpole", "config.lr=0.001", 'config.model={"use_lstm": true}', "stop.episode_reward_mean=195"]),
        ("train", ["--resume", "first", "max_run=600", "rl.training.env=CartPole-v0"]),
        ("train", ["--source", "examples/corridor", "corridor", "--job", "mine", "--store", "s3://bucket/x"]),
        ("train", ["--program", "p.py", "lr=0.1", "env=x", "--dependency", "a", "--dependency", "b"]),
        ("evaluate", ["first", "s3://bucket/second", "a/model.tar.gz", "--restore", "--episodes", "3", "--seed", "1"]),
        ("evaluate", ['env_config={"a": 1}', "--source", "examples/corridor"]),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_its_words_ask_for_the_same(command: str, words: List[str]) -> None:
    made = asked(command, *words)
    assert asked(command, *made.to_words()) == made


def test_a_job_elsewhere_is_told_where_its_files_are() -> None:
    made = asked("train", "--program", "p.py", "--dependency", "lib", "--store", "mine")
    words = made.to_words(lambda path: f"/mnt/{path}")
    assert words == ["--store", os.path.abspath("mine"), "--program", "/mnt/p.py", "--dependency", "/mnt/lib"]


def test_the_help_of_evaluate_lists_every_setting() -> None:
    shown = subprocess.run([str(ROOT / "scripts" / "evaluate"), "--help"], capture_output=True, text=True, timeout=60)
    assert [setting.name for setting in fields(Evaluation) if setting.name not in shown.stdout] == []


def test_a_network_of_ones_own_without_a_source_is_refused() -> None:
    with pytest.raises(UserError) as refused:
        request.check(asked("train", "cartpole", "config.model.custom_model=mine"))
    assert str(refused.value) == (
        'rl.training.config.model.custom_model = "mine": unknown: MODELS of models.py, in the directory of --source, '
        "has the names"
    )


def test_a_folder_of_sources_is_told_from_one(tmp_path: Path) -> None:
    (tmp_path / "all" / "one").mkdir(parents=True)
    (tmp_path / "all" / "one" / "envs.py").write_text("ENVS = {}\n")
    with pytest.raises(UserError) as refused:
        request.check(asked("train", "mine", "--source", str(tmp_path / "all")))
    assert str(refused.value) == (
        f"{tmp_path}/all: has neither envs.py nor experiments.py nor models.py nor callbacks.py, "
        f"but {tmp_path}/all/one has"
    )


def test_a_package_in_place_of_a_file_is_told_from_it(tmp_path: Path) -> None:
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "__init__.py").write_text("ENVS = {}\n")
    with pytest.raises(UserError, match=r"callbacks\.py, but the package envs/, which is not looked into$"):
        request.check(asked("train", "mine", "--source", str(tmp_path)))


def test_a_bucket_whose_name_is_too_short_is_told_so(tmp_path: Path) -> None:
    words = [str(ROOT / "scripts" / "launch"), "train", "--store", "s3://ab/jobs", "--dry-run"]
    assert said(words, tmp_path) == ["--store s3://ab/jobs: bucket 'ab' must be 3 to 63 characters long, and has 2"]


def test_the_time_of_a_program_is_checked_too(tmp_path: Path) -> None:
    (tmp_path / "p.py").touch()
    with pytest.raises(UserError, match="max_run = long: seconds, at least 1"):
        request.check(asked("train", "--program", str(tmp_path / "p.py"), "max_run=long"))
