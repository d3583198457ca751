"""The files of /opt/ml: what is read, what is refused, what is written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, List, Union

import pytest

from rl_app.errors import UserError
from rl_app.job import sagemaker
from rl_app.job.sagemaker import Contract, Paths

ONE_HOST = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"}
GOOD: Dict[str, Any] = {"hyperparameters.json": {"experiment": "cartpole"}, "resourceconfig.json": ONE_HOST}


def staged(base: Path, **changes: Union[bytes, object]) -> Paths:
    """An /opt/ml with good files but for ``changes``: a file's bytes, its JSON value, or None for no file."""
    paths = Paths(base)
    paths.config.mkdir(parents=True)
    for name, value in {**GOOD, **{f"{key}.json": value for key, value in changes.items()}}.items():
        if value is not None:
            content = value if isinstance(value, bytes) else json.dumps(value).encode()
            (paths.config / name).write_bytes(content)
    return paths


def refused(paths: Paths) -> str:
    with pytest.raises(UserError) as caught:
        sagemaker.read_config(paths, {})
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_reads_what_sagemaker_writes(tmp_path: Path) -> None:
    channels = {"model": {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}}
    paths = staged(tmp_path, inputdataconfig=channels)

    contract = sagemaker.read_config(paths, {"TRAINING_JOB_NAME": "first"})

    assert contract == Contract(
        hyperparameters={"experiment": "cartpole"},
        channels={"model": tmp_path / "input" / "data" / "model"},
        hosts=["algo-1"],
        current_host="algo-1",
        program=None,
        job_name="first",
    )


def test_too_many_hyperparameters_are_counted_and_not_looked_at(tmp_path: Path) -> None:
    paths = staged(tmp_path, hyperparameters={f"key{number}": "1" for number in range(100_000)})
    assert refused(paths).endswith("hyperparameters.json: 100000 hyperparameters; at most 10000 are read")


def test_channels_may_be_missing(tmp_path: Path) -> None:
    assert sagemaker.read_config(staged(tmp_path), {}).channels == {}


@pytest.mark.parametrize(
    ("hyperparameters", "environ"),
    [({"sagemaker_program": "train.py"}, {}), ({}, {"SAGEMAKER_PROGRAM": "train.py"})],
)
def test_the_users_program_is_known(tmp_path: Path, hyperparameters: Dict[str, str], environ: Dict[str, str]) -> None:
    paths = staged(tmp_path, hyperparameters=hyperparameters)

    assert sagemaker.read_config(paths, environ).program == "train.py"


def test_the_values_that_are_sagemakers_own_may_be_json_as_its_sdk_writes_them(tmp_path: Path) -> None:
    sent = {
        "sagemaker_submit_directory": '"s3://bucket/job/source/sourcedir.tar.gz"',
        "sagemaker_program": '"train.py"',
        "sagemaker_s3_output": "s3://bucket",
        "sagemaker_region": "null",
        "sagemaker_container_log_level": "20",
        "_tuning_objective_metric": '"episode_reward_mean"',
        "experiment": '"cartpole"',
    }

    contract = sagemaker.read_config(staged(tmp_path, hyperparameters=sent), {})

    assert contract.hyperparameters == {
        "sagemaker_submit_directory": "s3://bucket/job/source/sourcedir.tar.gz",
        "sagemaker_program": "train.py",
        "sagemaker_s3_output": "s3://bucket",
        "sagemaker_container_log_level": "20",
        "_tuning_objective_metric": "episode_reward_mean",
        "experiment": '"cartpole"',  # ours, which are decoded by their types
    }
    assert contract.program == "train.py"


@pytest.mark.parametrize("program", ["envs.py", '"envs.py"', '"experiments.py"', "null"])
def test_environments_and_experiments_are_no_program(tmp_path: Path, program: str) -> None:
    sent = {"sagemaker_program": program}

    assert sagemaker.read_config(staged(tmp_path, hyperparameters=sent), {}).program is None


def test_the_channels_of_a_source_are_no_data(tmp_path: Path) -> None:
    paths = staged(tmp_path, inputdataconfig={"code": {}, "sm_drivers": {}, "model": {}})
    (paths.data / "code").mkdir(parents=True)
    (paths.data / "code" / "envs.py").touch()

    contract = sagemaker.read_config(paths, {})

    assert (contract.code, list(contract.channels)) == (paths.data / "code", ["model"])


def test_a_channel_called_code_may_hold_anything(tmp_path: Path) -> None:
    contract = sagemaker.read_config(staged(tmp_path, inputdataconfig={"code": {}}), {})

    assert (contract.code, list(contract.channels)) == (None, ["code"])


def test_the_base_directory_can_be_moved() -> None:
    assert sagemaker.paths({}).model == Path("/opt/ml/model")
    assert sagemaker.paths({"SAGEMAKER_BASE_DIR": "/tmp/x"}).failure == Path("/tmp/x/output/failure")


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("hyperparameters", None, "is missing"),
        ("resourceconfig", None, "is missing"),
        ("hyperparameters", b'{\n  "a": "1",\n  b\n}', "line 3, column 3: no JSON"),
        ("inputdataconfig", b"", "line 1, column 1: no JSON"),
        ("resourceconfig", b'{"hosts": ["algo-1"]', "line 1, column 21: no JSON"),
        ("hyperparameters", b'{"a": "\xc3\xa9",\n "b": "\xff"}', "line 2, column 8: byte 0xff is no UTF-8"),
        ("hyperparameters", b"[" * 100_000, "no JSON that can be read"),
        ("hyperparameters", ["a"], "expected a JSON object, not list"),
        ("hyperparameters", {"rl.training.config.lr": 0.1}, "rl.training.config.lr = 0.1: every"),
        ("hyperparameters", {"seed": None}, "seed = null: every hyperparameter is a string"),
        ("inputdataconfig", {"../up": {}}, 'channel "../up"'),
        ("resourceconfig", {"current_host": "algo-1"}, "hosts = null: expected a list"),
        ("resourceconfig", {"current_host": "algo-1", "hosts": []}, "hosts = []: expected a list"),
        ("resourceconfig", {"current_host": "algo-1", "hosts": [1]}, "hosts = [1]: expected a list"),
        ("resourceconfig", {"hosts": ["algo-1"]}, "current_host = null: expected one of hosts"),
        ("resourceconfig", {"current_host": "b", "hosts": ["a"]}, 'current_host = "b": expected one of'),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_place(tmp_path: Path, file: str, content: object, expected: str) -> None:
    paths = staged(tmp_path, **{file: content})

    text = refused(paths)

    assert str(paths.config / f"{file}.json") in text
    assert expected in text


GROUPS = [
    {"instance_group_name": "cpus", "instance_type": "ml.c5.xlarge", "hosts": ["algo-1", "algo-2", "algo-10"]},
    {"instance_group_name": "gpus", "instance_type": "ml.g4dn.xlarge", "hosts": ["algo-11", "algo-3"]},
]
HOSTS = ["algo-1", "algo-10", "algo-11", "algo-2", "algo-3"]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(
    ("hyperparameters", "hosts", "head"),
    [
        ({}, HOSTS, "algo-1"),
        ({}, ["algo-10", "algo-11", "algo-2", "algo-3"], "algo-2"),
        ({"head_group": "gpus"}, HOSTS, "algo-3"),
        ({"head_group": "cpus"}, HOSTS, "algo-1"),
    ],
)
def test_every_host_knows_the_same_head(
    tmp_path: Path, host: str, hyperparameters: Dict[str, str], hosts: List[str], head: str
) -> None:
    if host not in hosts:
        return
    resources = {"current_host": host, "hosts": hosts, "instance_groups": GROUPS}
    contract = sagemaker.read_config(staged(tmp_path, hyperparameters=hyperparameters, resourceconfig=resources), {})

    assert (contract.head, contract.is_head) == (head, host == head)


def test_a_group_that_is_not_there_trains_nothing(tmp_path: Path) -> None:
    paths = staged(tmp_path, hyperparameters={"head_group": "gpus"})
    assert refused(paths) == 'head_group = "gpus": must be one of []'


@pytest.mark.parametrize("groups", ["cpus", [{}], [None], [{"instance_group_name": "a", "hosts": None}]])
def test_groups_that_are_none_are_refused(tmp_path: Path, groups: object) -> None:
    paths = staged(tmp_path, resourceconfig={**ONE_HOST, "instance_groups": groups})
    assert "instance_groups: expected a list of a name and hosts each" in refused(paths)


def test_no_opt_ml_is_one_line_and_nothing_is_made(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "opt" / "ml")

    assert "is missing: mount SageMaker's /opt/ml" in refused(paths)
    sagemaker.write_failure(paths, "reason")
    sagemaker.give_to_owner(paths)

    assert not (tmp_path / "opt").exists()


def test_a_failure_is_written_whole_with_nothing_beside_it(tmp_path: Path) -> None:
    paths = Paths(tmp_path)

    sagemaker.write_failure(paths, "first")
    sagemaker.write_failure(paths, "naïve reason")

    assert paths.failure.read_text(encoding="utf-8") == "naïve reason"
    assert os.listdir(paths.output) == ["failure"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
class TestGiveToOwner:
    def test_a_mounted_base_owns_what_root_wrote(self, tmp_path: Path) -> None:
        paths = staged(tmp_path / "ml")
        os.chown(paths.base, 1234, 2345)
        (paths.model / "1").mkdir(parents=True)
        (paths.model / "1" / "saved_model.pb").write_text("graph")
        sagemaker.write_failure(paths, "reason")

        sagemaker.give_to_owner(paths)

        for path in (paths.model, paths.model / "1" / "saved_model.pb", paths.failure):
            assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)
        assert (paths.config / "hyperparameters.json").stat().st_uid == 0

    def test_a_mounted_directory_owns_what_lies_in_it(self, tmp_path: Path) -> None:
        paths = Paths(tmp_path)
        for directory in (paths.output_data, paths.checkpoints):
            directory.mkdir(parents=True)
            (directory / "file").write_text("x")
        os.chown(paths.output, 1234, 2345)

        sagemaker.give_to_owner(paths)

        assert (paths.output_data / "file").stat().st_uid == 1234
        assert (paths.checkpoints / "file").stat().st_uid == 0

    def test_what_is_another_users_stays_so(self, tmp_path: Path) -> None:
        paths = Paths(tmp_path)
        paths.model.mkdir()
        (paths.model / "file").write_text("x")
        os.chown(paths.model, 1234, 2345)
        os.chown(paths.model / "file", 7, 7)

        sagemaker.give_to_owner(paths)

        assert (paths.model / "file").stat().st_uid == 7

    def test_links_are_not_followed(self, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "secret").write_text("x")
        paths = Paths(tmp_path / "ml")
        paths.model.mkdir(parents=True)
        (paths.model / "directory").symlink_to(outside)
        (paths.model / "file").symlink_to(outside / "secret")
        os.chown(paths.model, 1234, 2345)

        sagemaker.give_to_owner(paths)

        assert (outside.stat().st_uid, (outside / "secret").stat().st_uid) == (0, 0)
        assert (paths.model / "file").lstat().st_uid == 1234

    def test_what_vanishes_meanwhile_is_no_failure(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        paths = Paths(tmp_path)
        paths.model.mkdir()
        os.chown(paths.model, 1234, 2345)
        for name in ("a", "b"):
            (paths.model / name).write_text("x")
        chown = os.chown

        def vanishing(name: str, *owner: int, **where: Any) -> None:
            os.unlink(name, dir_fd=where["dir_fd"])
            chown(name, *owner, **where)

        monkeypatch.setattr(os, "chown", vanishing)

        sagemaker.give_to_owner(paths)

        assert os.listdir(paths.model) == []


@pytest.mark.parametrize("name", ["a", "Cartpole-2026-01-02", "a--b", "x" * 63])
def test_a_legal_job_name_passes(name: str) -> None:
    sagemaker.check_job_name(name)


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", "a_b", "a.b", "a/b", "..", "a b", "a\n", "é", "x" * 64, "a" + "-" * 62 + "b"]
)
def test_an_illegal_job_name_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(UserError) as caught:
        sagemaker.check_job_name(name)

    assert str(caught.value).startswith("job name = ")
    assert "\n" not in str(caught.value)
