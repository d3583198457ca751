"""Following and stopping a job, on a stub: moto's jobs are completed at once and cannot be stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from botocore.config import Config

from rl_app.errors import UserError
from rl_app.terminal.console import iteration_line
from scripts.commands import stop, watch
from scripts.lib import fetching, following
from tests.cloud.stub import RefusedError
from tests.store_contract import contents


def line(iteration: int, reward: float) -> str:
    row = {
        "training_iteration": iteration,
        **dict.fromkeys(("episode_reward_mean", "episode_reward_min", "episode_reward_max"), reward),
        **dict.fromkeys(("episodes_total", "timesteps_total", "steps_per_s", "time_total_s"), iteration),
    }
    return iteration_line(row, {})


STARTING = {"SecondaryStatus": "Starting", "SecondaryStatusTransitions": []}
TRAINING: Dict[str, Any] = {"SecondaryStatus": "Training"}
COMPLETED = {
    "TrainingJobStatus": "Completed",
    "SecondaryStatus": "Completed",
    "TrainingTimeInSeconds": 100,
    "BillableTimeInSeconds": 30,
}
FAILED = {"TrainingJobStatus": "Failed", "SecondaryStatus": "Failed", "FailureReason": "AlgorithmError:\nexit code 2"}
STOPPED = {"TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxRuntimeExceeded"}
LINES = [["setting up"], [line(1, 20.0), line(2, 60.0), line(3, 110.0)], [line(4, 200.0)]]


def test_log_and_curve_come_once_and_it_ends_with_the_job(
    cloud: Callable[..., Any], capsys: Any, tmp_path: Path
) -> None:
    _, _, session = cloud([STARTING, TRAINING, TRAINING, COMPLETED], LINES)
    waits: List[float] = []
    assert following.follow_cloud("first", session, tmp_path, waits.append) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [text for page in LINES for text in page]
    assert "first: InProgress, Starting\nfirst: InProgress, Training\nfirst: Completed\n" in said.err
    assert "episode_reward_mean  20.0 ▁▂▄█ 200.0" in said.err
    assert "after 100 s, 30 s billed" in said.err
    assert "s3://bucket/first/output/model.tar.gz" in said.err
    assert len(waits) == 3


@pytest.mark.parametrize("end", [FAILED, STOPPED], ids=["Failed", "Stopped"])
def test_every_other_end_is_no_success(
    end: Dict[str, Any], cloud: Callable[..., Any], capsys: Any, tmp_path: Path
) -> None:
    _, _, session = cloud([TRAINING, {"TrainingJobStatus": "Stopping", "SecondaryStatus": "Stopping"}, end])
    assert following.follow_cloud("first", session, tmp_path, lambda _: None) == 1
    said = capsys.readouterr().err
    assert end["SecondaryStatus"] in said
    assert ("why    AlgorithmError: exit code 2" in said) == ("FailureReason" in end)


def test_ctrl_c_leaves_the_job_running_and_says_how_to_stop_it(
    cloud: Callable[..., Any], capsys: Any, tmp_path: Path
) -> None:
    made, _, session = cloud([TRAINING])

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    assert following.follow_cloud("first", session, tmp_path, interrupt) == 130
    assert "scripts/stop first" in capsys.readouterr().err
    assert not made.stopped


def test_while_aws_is_busy_it_is_asked_again_and_says_so_once(
    cloud: Callable[..., Any], capsys: Any, tmp_path: Path
) -> None:
    made, _, session = cloud([COMPLETED])
    made.refuse["DescribeTrainingJob"] = RefusedError("ThrottlingException", "Rate exceeded")
    waits: List[float] = []

    def pause(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            made.refuse.clear()

    assert following.follow_cloud("first", Quick(session), tmp_path, pause) == 0
    said = capsys.readouterr().err
    assert said.count("ThrottlingException: Rate exceeded") == 1
    assert "try again in a minute" in said


class Quick:
    """A session whose clients do not wait and ask again by themselves."""

    def __init__(self, session: Any) -> None:
        self.session = session

    def client(self, service: str, **_: Any) -> Any:
        return self.session.client(service, config=Config(retries={"total_max_attempts": 1}))


def test_report_and_videos_come_as_they_appear_and_fetch_may_replace_them(
    cloud: Callable[..., Any], capsys: Any, tmp_path: Path
) -> None:
    _, _, session = cloud([TRAINING, TRAINING, TRAINING, COMPLETED])
    live = "first/output/intermediate"

    def put(**files: bytes) -> None:
        for name, content in files.items():
            session.client("s3").put_object(Bucket="bucket", Key=f"{live}/{name}", Body=content)

    steps: List[Callable[[], Any]] = [
        lambda: put(**{"report.html": b"one", "metrics.jsonl": b"{}", "videos/iteration-1.mp4": b"mp4"}),
        lambda: put(**{"report.html": b"two, longer"}),
        lambda: put(**{"videos/iteration-2.mp4": b"mp4 too"}),
    ]
    assert following.follow_cloud("first", session, tmp_path, lambda _: steps.pop(0)()) == 0
    said = capsys.readouterr().err.splitlines()
    here = tmp_path / live
    names = ("report.html", "videos/iteration-1.mp4", "videos/iteration-2.mp4")
    assert [line for line in said if line.startswith("new: ")] == [f"new: {here / name}" for name in names]
    found = contents(tmp_path)
    assert json.loads(found.pop("first/fetched.json"))["Fetched"]["From"] == "s3://bucket/first"
    assert found == dict(zip((f"{live}/{name}" for name in names), (b"two, longer", b"mp4", b"mp4 too")))
    fetching.check_home(tmp_path / "first")


def test_files_that_may_not_be_read_are_said_once_and_the_log_goes_on(
    cloud: Callable[..., Any], capsys: Any, tmp_path: Path
) -> None:
    _, _, session = cloud([{"OutputDataConfig": {"S3OutputPath": "s3://anothers"}}, TRAINING, COMPLETED], LINES)
    (tmp_path / "first").mkdir()
    assert following.follow_cloud("first", session, tmp_path, lambda _: None) == 0
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 5
    assert said.err.count("report and videos: store s3://anothers: first/output/intermediate: ") == 1


@pytest.mark.parametrize("command", [watch, stop], ids=["watch", "stop"])
def test_a_job_that_is_nowhere_is_one_line(command: Any, cloud: Callable[..., Any], capsys: Any) -> None:
    _, _, session = cloud()
    assert command.main(["nowhere", "--cloud"], lambda: session) == 2
    said = capsys.readouterr().err
    assert said == "job nowhere: SageMaker has none of this name in eu-central-1\n"


@pytest.mark.parametrize("command", [watch, stop], ids=["watch", "stop"])
def test_a_job_that_neither_this_machine_nor_sagemaker_has_is_said_to_be_nowhere(
    command: Any, cloud: Callable[..., Any], capsys: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    made, _, session = cloud()
    monkeypatch.setenv("STORE", str(tmp_path / "runs"))
    monkeypatch.setenv("S3_PORT", "1")
    assert command.main(["nowhere"], lambda: session) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("nowhere: no such job in ") and last.endswith("; SageMaker has none of this name either")
    made.refuse["DescribeTrainingJob"] = RefusedError("AccessDeniedException", "not for you")
    assert command.main(["nowhere"], lambda: session) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("nowhere: no such job in ") and "; SageMaker refused: these credentials may not" in last


def test_a_stop_is_asked_for_and_followed(cloud: Callable[..., Any], capsys: Any) -> None:
    made, stub, session = cloud([TRAINING, STOPPED])
    assert stop.main(["first", "--cloud", "--wait"], lambda: session) == 0
    assert made.stopped
    assert stub.calls("StopTrainingJob") == [{"TrainingJobName": "first"}]
    assert "MaxRuntimeExceeded" in capsys.readouterr().err


def test_what_has_ended_is_not_stopped_again(cloud: Callable[..., Any], capsys: Any) -> None:
    _, stub, session = cloud([COMPLETED])
    assert stop.main(["first", "--cloud"], lambda: session) == 0
    assert stub.calls("StopTrainingJob") == []
    assert "has ended already: Completed" in capsys.readouterr().err


def test_expired_credentials_end_the_watching(cloud: Callable[..., Any], tmp_path: Path) -> None:
    made, _, session = cloud([TRAINING])
    made.refuse["DescribeTrainingJob"] = RefusedError("ExpiredTokenException", "The security token has expired")
    with pytest.raises(UserError, match=r"log in again \(ExpiredTokenException: The security token has expired\)"):
        following.follow_cloud("first", session, tmp_path, lambda _: None)
