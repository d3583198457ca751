"""What a job says at its end may be done next; tests/app/test_hints.py does it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, List, Optional

import pytest

from rl_app.local.hints import Caller, Left, after, caller_of
from rl_app.local.request import JobRequest

TRAINED = JobRequest("train", {"experiment": "cartpole", "rl.training.config.lr": "0.1", "seed": "3"}, job="a")
OURS = Left(program=False, output=True, checkpoints=True, kept_source=False)
DOCKER = Caller(in_docker=True)


def commands(
    status: str, left: Left = OURS, caller: Caller = DOCKER, request: JobRequest = TRAINED, seed: Optional[int] = 3
) -> List[str]:
    lines = list(after(request, "a", status, seed, left, caller))
    assert all(line.startswith(("  next   scripts/", "  next   STORE=")) for line in lines)
    return [line[len("  next   ") :].split("    ")[0] for line in lines]


@pytest.mark.parametrize(
    ("caller", "flags"),
    [
        (DOCKER, ""),
        (Caller("process"), " --engine process"),
        (Caller("process", store="mine", code=["--source", "own"]), " --source own --engine process --store mine"),
    ],
)
def test_a_trained_model_is_evaluated_and_trained_again(caller: Caller, flags: str) -> None:
    place = flags.replace(" --source own", "")
    again = f"scripts/train cartpole config.lr=0.1 seed=4{flags}"
    assert commands("Completed", caller=caller) == [f"scripts/evaluate a{place}", again]


def test_from_another_folder_scripts_are_named_as_they_can_be_typed_there() -> None:
    caller = Caller("process", scripts="/a clone/scripts")
    lines = list(after(TRAINED, "a", "Completed", 3, OURS, caller))
    assert lines[0].startswith("  next   '/a clone/scripts/evaluate' a --engine process    ")
    assert lines[1].startswith("  next   '/a clone/scripts/train' cartpole ")


def test_a_directory_that_the_environment_names_is_said() -> None:
    assert caller_of(None, TRAINED, False, "/mine").store == "/mine"
    assert caller_of(Caller("process").to_json(), TRAINED, False, "/mine").place() == [
        *("--engine", "process", "--store", "/mine")
    ]
    assert caller_of(None, replace(TRAINED, store="other"), False, "/mine").store == "other"
    assert caller_of(None, TRAINED, False, "s3://bucket").store is None
    assert caller_of(None, TRAINED, True, "/mine").store is None


def test_a_gpu_trains_again_and_evaluates_nothing() -> None:
    gpu = commands("Completed", caller=Caller(gpu=True, in_docker=True))
    assert gpu == ["scripts/evaluate a", "scripts/train cartpole config.lr=0.1 seed=4 --gpu"]


def test_where_the_source_is_not_known_it_is_not_trained_again() -> None:
    kept = OURS._replace(kept_source=True)
    assert commands("Completed", kept) == ["scripts/evaluate a"]
    assert commands("Completed", kept, Caller(code=None, in_docker=True)) == ["scripts/evaluate a"]


def test_a_programs_files_are_fetched_if_it_left_any() -> None:
    program = OURS._replace(program=True)
    assert commands("Completed", program) == ["scripts/fetch a"]
    assert commands("Completed", program._replace(output=False)) == []


def test_where_the_trainer_died_a_checkpoint_becomes_the_model() -> None:
    model = "scripts/train --resume a stop.training_iteration=1"
    died = OURS._replace(model=False)
    assert commands("Failed", died) == ["scripts/train --resume a", model, "scripts/fetch a"]
    assert commands("Failed", died._replace(program=True)) == ["scripts/train --resume a", "scripts/fetch a"]
    assert model not in commands("Failed", died._replace(checkpoints=False))


def test_a_job_that_was_to_leave_no_model_is_not_evaluated() -> None:
    asked = JobRequest("train", {**TRAINED.hyperparameters, "export": "False"}, job="a")
    left = OURS._replace(model=False)
    assert commands("Completed", left, request=asked) == ["scripts/train cartpole config.lr=0.1 seed=4 export=False"]
    assert commands("Stopped", left, request=asked) == ["scripts/train --resume a"]


@pytest.mark.parametrize(
    ("status", "changes", "expected"),
    [
        ("Stopped", {}, ["scripts/train --resume a"]),
        ("Stopped", {"checkpoints": False}, ["scripts/train --resume a"]),
        ("Failed", {}, ["scripts/train --resume a", "scripts/fetch a"]),
        ("Failed", {"checkpoints": False}, ["scripts/fetch a"]),
        ("Failed", {"checkpoints": False, "output": False}, []),
    ],
)
def test_what_did_not_end_goes_on_from_what_there_is(status: str, changes: Any, expected: List[str]) -> None:
    assert commands(status, OURS._replace(**changes)) == expected


def test_going_on_is_promised_from_a_checkpoint_alone() -> None:
    (line,) = after(TRAINED, "a", "Stopped", 3, OURS._replace(checkpoints=False), DOCKER)
    assert line.endswith("    start it again, as it had no checkpoint")


def test_another_bucket_of_minio_is_fetched_from_by_its_name() -> None:
    asked = JobRequest("evaluate", {}, models=["first"])
    there = Caller(store="s3://other/jobs", in_docker=True)
    assert commands("Completed", caller=there, request=asked) == [
        "STORE=s3://other/jobs scripts/fetch a --store compose"
    ]
    here = Caller("process", store="s3://other/jobs")
    assert commands("Completed", caller=here, request=asked) == ["scripts/fetch a --store s3://other/jobs"]


def test_a_job_that_no_script_has_started_is_repeated_in_a_process() -> None:
    asked = JobRequest("train", {}, source="own", store="mine")
    assert caller_of(None, asked, in_docker=False) == Caller("process", store="mine", code=["--source", "own"])
    assert caller_of(None, asked, in_docker=True) == Caller(store="mine", code=None, in_docker=True)
    passed = Caller("docker", gpu=True, code=["--source", "own"])
    assert caller_of(passed.to_json(), asked, in_docker=True) == Caller("docker", True, None, ["--source", "own"], True)
