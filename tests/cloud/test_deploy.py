"""Endpoints on a stub: moto's are in service at once and cannot be updated; it runs no model either."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Callable, Iterator, List

import pytest

from rl_app.errors import JobError
from scripts.commands import delete, deploy, predict
from scripts.lib.endpoints import EndpointRequest
from tests.cloud.stub import RefusedError

ROLE = "arn:aws:iam::1:role/r"
FIRST = EndpointRequest("mine", "mine-2026-01-31-12-00-00", "registry/image@sha256:1", "s3://b/1.tar.gz", ROLE)
SECOND = EndpointRequest("mine", "mine-2026-02-01-12-00-00", "registry/image@sha256:2", "s3://b/2.tar.gz", ROLE)
COMPLETED = {"TrainingJobStatus": "Completed", "SecondaryStatus": "Completed"}


def no_wait(_: float) -> None:
    pass


def test_a_jobs_model_is_served_by_the_jobs_image_and_role(cloud: Callable[..., Any], capsys: Any) -> None:
    _, stub, session = cloud([COMPLETED])
    assert deploy.main(["first"], lambda: session) == 0
    assert capsys.readouterr().out == "first\n"
    assert stub.operations[-5:-1] == ["DescribeEndpoint", "CreateModel", "CreateEndpointConfig", "CreateEndpoint"]
    (model,) = stub.calls("CreateModel")
    assert model["PrimaryContainer"] == {
        "Image": "registry/image@sha256:1",
        "ModelDataUrl": "s3://bucket/first/output/model.tar.gz",
    }
    assert model["ExecutionRoleArn"] == "arn:aws:iam::123456789012:role/of-the-job"


def test_another_server_takes_the_same_model(cloud: Callable[..., Any]) -> None:
    _, stub, session = cloud([COMPLETED])
    words = ["first", "--endpoint", "tf", "--server", "aws/tensorflow-inference:2.1", "--env", "SAGEMAKER_TFS=1"]
    assert deploy.main(words, lambda: session) == 0
    assert stub.calls("CreateModel")[0]["PrimaryContainer"] == {
        "Image": "aws/tensorflow-inference:2.1",
        "ModelDataUrl": "s3://bucket/first/output/model.tar.gz",
        "Environment": {"SAGEMAKER_TFS": "1"},
    }


def test_it_waits_until_the_endpoint_is_in_service(cloud: Callable[..., Any], capsys: Any) -> None:
    made, _, session = cloud()
    made.settling = [{"EndpointStatus": "Creating"}, {"EndpointStatus": "Creating"}, {"EndpointStatus": "InService"}]
    waits: List[float] = []
    deploy.deploy(FIRST, session.client("sagemaker"), waits.append)
    assert len(waits) == 2
    assert capsys.readouterr().err.splitlines() == ["mine: Creating", "mine: InService"]


def test_an_endpoint_that_fails_says_why_and_what_is_left(cloud: Callable[..., Any]) -> None:
    made, _, session = cloud()
    made.settling = [{"EndpointStatus": "Failed", "FailureReason": "The container did not pass the ping health check."}]
    with pytest.raises(JobError) as failed:
        deploy.deploy(FIRST, session.client("sagemaker"), no_wait)
    said = str(failed.value)
    assert "did not pass the ping health check" in said
    assert f"model {FIRST.part}, endpoint configuration {FIRST.part}, endpoint mine" in said
    assert "scripts/delete mine" in said


def test_an_endpoint_is_updated_in_place_and_what_it_replaced_goes(cloud: Callable[..., Any]) -> None:
    made, stub, session = cloud()
    service = session.client("sagemaker")
    deploy.deploy(FIRST, service, no_wait)
    deploy.deploy(SECOND, service, no_wait)
    assert stub.calls("UpdateEndpoint") == [{"EndpointName": "mine", "EndpointConfigName": SECOND.part}]
    assert [*made.things["model"]] == [*made.things["configuration"]] == [SECOND.part]
    assert len(stub.calls("CreateEndpoint")) == 1


def test_an_update_that_was_rolled_back_is_a_failure_and_what_served_stays(cloud: Callable[..., Any]) -> None:
    made, _, session = cloud()
    service = session.client("sagemaker")
    deploy.deploy(FIRST, service, no_wait)
    back = {"EndpointStatus": "InService", "EndpointConfigName": FIRST.part, "FailureReason": "no such image"}
    made.settling = [{}, {"EndpointStatus": "RollingBack"}, back]
    with pytest.raises(JobError, match="no such image"):
        deploy.deploy(SECOND, service, no_wait)
    assert FIRST.part in made.things["model"]


def test_what_was_made_before_a_refusal_is_named(cloud: Callable[..., Any], capsys: Any) -> None:
    made, _, session = cloud([COMPLETED])
    made.refuse["CreateEndpointConfig"] = RefusedError(
        "AccessDeniedException", "not authorized to perform: sagemaker:…"
    )
    assert deploy.main(["first"], lambda: session) == 2
    said = capsys.readouterr().err
    assert "ask for the right that the message names" in said
    assert "made before that and still there: model first-" in said


@pytest.mark.parametrize(
    ("words", "state", "named"),
    [
        (["first"], {"TrainingJobStatus": "InProgress"}, ["first", "InProgress", "scripts/watch first"]),
        (["first"], {**COMPLETED, "ModelArtifacts": {"S3ModelArtifacts": ""}}, ["first", "left no model"]),
        (["s3://b/model.tar.gz"], COMPLETED, ["--endpoint NAME"]),
        (["s3://b/model", "--endpoint", "mine"], COMPLETED, ["s3://b/model", "archive"]),
        (["first", "--count", "0"], COMPLETED, ["--count 0"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_deployed_is_refused(
    words: List[str], state: Any, named: List[str], cloud: Callable[..., Any], capsys: Any
) -> None:
    made, _, session = cloud([state])
    assert deploy.main(words, lambda: session) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert [text for text in named if text not in said] == []
    assert made.things == {"model": {}, "configuration": {}, "endpoint": {}}


def test_a_dry_run_prints_the_three_requests_and_asks_nothing(cloud: Callable[..., Any], capsys: Any) -> None:
    _, stub, session = cloud()
    role = "arn:aws:iam::123456789012:role/r"
    words = ["s3://b/model.tar.gz", "--endpoint", "mine", "--role", role, "--server", "image", "--dry-run"]
    assert deploy.main(words, lambda: session) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [*printed] == ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"]
    assert printed["CreateEndpoint"]["EndpointName"] == "mine"
    assert deploy.main(["first", "--dry-run"], lambda: session) == 0
    said = capsys.readouterr()
    model = json.loads(said.out)["CreateModel"]
    assert model["PrimaryContainer"]["ModelDataUrl"] == "s3://sagemaker-<REGION>-<ACCOUNT>/first/output/model.tar.gz"
    assert model["ExecutionRoleArn"] == "arn:aws:iam::<ACCOUNT>:role/sagemaker-rllib"
    assert all(line.startswith("placeholder ") and "<" in line for line in said.err.splitlines()) and said.err
    assert stub.asked == []


# ---- deleting ----


def test_all_of_an_endpoint_goes_with_what_failed_deployments_left(cloud: Callable[..., Any], capsys: Any) -> None:
    made, _, session = cloud()
    service = session.client("sagemaker")
    deploy.deploy(FIRST, service, no_wait)
    for name in (SECOND.part, "mine-too-2026-02-01-12-00-00"):
        service.create_model(ModelName=name, ExecutionRoleArn=FIRST.role)
    assert delete.main(["mine"], lambda: session) == 0
    assert made.things == {
        "model": {"mine-too-2026-02-01-12-00-00": made.things["model"]["mine-too-2026-02-01-12-00-00"]},
        "configuration": {},
        "endpoint": {},
    }
    assert capsys.readouterr().err.splitlines()[-4:] == [
        "deleted endpoint mine",
        f"deleted endpoint configuration {FIRST.part}",
        f"deleted model {FIRST.part}",
        f"deleted model {SECOND.part}",
    ]
    assert delete.main(["mine"], lambda: session) == 2
    assert "no such endpoint, and nothing left of one" in capsys.readouterr().err


def test_what_is_left_is_named_and_a_second_run_removes_it(cloud: Callable[..., Any], capsys: Any) -> None:
    made, _, session = cloud()
    deploy.deploy(FIRST, session.client("sagemaker"), no_wait)
    made.refuse["DeleteEndpointConfig"] = RefusedError("AccessDeniedException", "no")
    assert delete.main(["mine"], lambda: session) == 1
    assert f"endpoint configuration {FIRST.part}" in capsys.readouterr().err.splitlines()[-1]
    assert made.things["endpoint"] == made.things["model"] == {}
    made.refuse.clear()
    assert delete.main(["mine"], lambda: session) == 0
    assert made.things["configuration"] == {}


# ---- predicting ----


@pytest.fixture
def server() -> Iterator[Any]:
    """A server of SageMaker's hosting contract that answers with what it was asked; -1 it refuses."""
    asked: List[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.path, json.loads(content)))
            refused = asked[-1][1].get("observations") == [-1]
            answer = b'{"error": "observations: expected 4 numbers"}' if refused else b'{"actions_0": [1]}'
            runtime = self.path.startswith("/endpoints/")
            self.send_response(424 if refused and runtime else 400 if refused else 200)
            if refused and runtime:
                self.send_header("x-amzn-ErrorType", "ModelError")
                answer = json.dumps(
                    {
                        "Message": "Received client error (400)",
                        "OriginalStatusCode": 400,
                        "OriginalMessage": answer.decode(),
                    }
                ).encode()
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    made = HTTPServer(("127.0.0.1", 0), Handler)
    made.asked = asked  # type: ignore[attr-defined]
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def test_an_observation_is_sent_to_an_endpoint_or_a_url(
    server: Any, cloud: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    _, _, session = cloud()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    assert predict.main(["mine", "[1, 2]", "[3, 4]", "--sample"], lambda: session) == 0
    assert predict.main(["--url", url, '{"instances": [[1]]}']) == 0
    assert capsys.readouterr().out == '{"actions_0": [1]}\n' * 2
    assert server.asked == [
        ("/endpoints/mine/invocations", {"observations": [[1, 2], [3, 4]], "deterministic": False}),
        ("/invocations", {"instances": [[1]]}),
    ]


@pytest.mark.parametrize("kind", ["endpoint", "url"])
def test_the_models_own_refusal_is_shown(
    kind: str, server: Any, cloud: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    _, _, session = cloud()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    words = ["mine", "-1"] if kind == "endpoint" else ["--url", url, "-1"]
    assert predict.main(words, lambda: session) == 2
    said = capsys.readouterr().err
    assert said == f'{words[-2]}: 400: {{"error": "observations: expected 4 numbers"}}\n'
