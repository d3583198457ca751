"""A server that answers some of AWS's calls as a test says, held to AWS's own model of them.

What moto does wrong is tried here: jobs that take their time, fail and stop, endpoints that are updated. Each
request must be one that botocore's model takes, and each answer one that it describes.
"""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, List, Optional, Tuple

import botocore.session
from botocore.validate import ParamValidator

Answer = Callable[[Dict[str, Any]], Dict[str, Any]]


class RefusedError(Exception):
    """What an answer raises to be an error of AWS's."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code, message, status)
        self.code, self.message, self.status = code, message, status


class Stub:
    """Answers of services that speak JSON, by the name of the operation; what was asked is in ``asked``."""

    def __init__(self, answers: Dict[str, Answer]) -> None:
        self.answers = answers
        self.asked: List[Tuple[str, Dict[str, Any]]] = []
        self.faults: List[str] = []
        session = botocore.session.get_session()
        self.models = [session.get_service_model(service) for service in ("sagemaker", "logs", "cloudwatch")]
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Stub:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.server.shutdown()
        self.server.server_close()
        assert self.faults == []

    def calls(self, operation: str) -> List[Dict[str, Any]]:
        return [request for name, request in self.asked if name == operation]

    @property
    def operations(self) -> List[str]:
        return [name for name, _ in self.asked]

    def answer(self, operation: str, request: Dict[str, Any]) -> Tuple[int, Dict[str, Any]]:
        self.asked.append((operation, request))
        model = next(model for model in self.models if operation in model.operation_names).operation_model(operation)
        self._check(operation, request, model.input_shape)
        if operation not in self.answers:
            self.faults.append(f"{operation}: not expected")
            return 400, {"__type": "UnknownOperation", "message": operation}
        try:
            answer = self.answers[operation](request)
        except RefusedError as error:
            return error.status, {"__type": error.code, "message": error.message}
        if model.output_shape is not None:
            known = {key: value for key, value in answer.items() if key in model.output_shape.members}
            self._check(f"answer to {operation}", answer, None if known == answer else model.output_shape)
            for key, value in known.items():
                self._check(f"answer to {operation}: {key}", value, model.output_shape.members[key])
        return 200, answer

    def _check(self, what: str, value: Any, shape: Any) -> None:
        if shape is None:
            return
        report = ParamValidator().validate(value, shape)
        if report.has_errors():
            self.faults.append(f"{what}: {report.generate_report()}")

    def _handler(stub) -> Any:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}")
                operation = self.headers["X-Amz-Target"].rpartition(".")[2]
                status, answer = stub.answer(operation, request)
                body = json.dumps(answer, default=seconds).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def seconds(value: Any) -> Any:
    """A time as the protocol has it."""
    assert isinstance(value, datetime)
    return value.timestamp()


class Cloud:
    """A training job that goes through states, one a look, and logs on the way; and endpoints."""

    def __init__(self, states: List[Dict[str, Any]], lines: Optional[List[List[str]]] = None) -> None:
        self.states = states
        self.lines = lines or []
        self.looks = 0
        self.stopped = False
        self.things: Dict[str, Dict[str, Dict[str, Any]]] = {"model": {}, "configuration": {}, "endpoint": {}}
        self.settling: List[Dict[str, Any]] = []  # what an endpoint turns into at the next looks
        self.refuse: Dict[str, RefusedError] = {}
        self.metrics: List[Dict[str, float]] = []  # a row a minute

    @property
    def answers(self) -> Dict[str, Answer]:
        known: Dict[str, Answer] = {
            "DescribeTrainingJob": self.describe_job,
            "StopTrainingJob": self.stop_job,
            "DescribeLogStreams": self.streams,
            "GetLogEvents": self.events,
            "GetMetricData": self.measured,
            "CreateModel": self.make("model", "ModelName", "ModelArn"),
            "CreateEndpointConfig": self.make("configuration", "EndpointConfigName", "EndpointConfigArn"),
            "CreateEndpoint": self.make("endpoint", "EndpointName", "EndpointArn"),
            "UpdateEndpoint": self.update_endpoint,
            "DescribeEndpoint": self.describe_endpoint,
            "DescribeEndpointConfig": lambda request: {
                **self.get("configuration", request["EndpointConfigName"]),
                "EndpointConfigArn": arn("c"),
                "CreationTime": MOMENT,
            },
            "ListEndpointConfigs": lambda request: {
                "EndpointConfigs": [
                    {"EndpointConfigName": name, "EndpointConfigArn": arn("c"), "CreationTime": MOMENT}
                    for name in self.things["configuration"]
                    if request["NameContains"] in name
                ]
            },
            "ListModels": lambda request: {
                "Models": [
                    {"ModelName": name, "ModelArn": arn("m"), "CreationTime": MOMENT}
                    for name in self.things["model"]
                    if request["NameContains"] in name
                ]
            },
            "DeleteModel": self.drop("model", "ModelName"),
            "DeleteEndpointConfig": self.drop("configuration", "EndpointConfigName"),
            "DeleteEndpoint": self.drop("endpoint", "EndpointName"),
        }
        return {name: self.unless_refused(name, answer) for name, answer in known.items()}

    def unless_refused(self, name: str, answer: Answer) -> Answer:
        def guarded(request: Dict[str, Any]) -> Dict[str, Any]:
            if name in self.refuse:
                raise self.refuse[name]
            return answer(request)

        return guarded

    # ---- the job ----

    def describe_job(self, request: Dict[str, Any]) -> Dict[str, Any]:
        if not self.states:
            raise RefusedError("ValidationException", "Requested resource not found.")
        state = self.states[min(self.looks, len(self.states) - 1)]
        self.looks += 1
        return {**JOB, "TrainingJobName": request["TrainingJobName"], **state}

    def stop_job(self, request: Dict[str, Any]) -> Dict[str, Any]:
        self.stopped = True
        return {}

    def streams(self, request: Dict[str, Any]) -> Dict[str, Any]:
        if not self.lines:
            raise RefusedError("ResourceNotFoundException", "The specified log group does not exist.")
        return {"logStreams": [{"logStreamName": f"{request['logStreamNamePrefix']}algo-1-1700000000"}]}

    def events(self, request: Dict[str, Any]) -> Dict[str, Any]:
        start = int(request.get("nextToken", "f/0").partition("/")[2])
        shown = [line for page in self.lines[: self.looks] for line in page]
        page = shown[start : start + 2]  # pages of two: what follows has to be asked for
        events = [{"timestamp": 1700000000000, "message": line, "ingestionTime": 1700000000000} for line in page]
        return {"events": events, "nextForwardToken": f"f/{start + len(page)}", "nextBackwardToken": "b/0"}

    def measured(self, request: Dict[str, Any]) -> Dict[str, Any]:
        times = [MOMENT + timedelta(minutes=number) for number, _ in enumerate(self.metrics)]
        return {
            "MetricDataResults": [
                {
                    "Id": query["Id"],
                    "Label": query["Label"],
                    "StatusCode": "Complete",
                    "Timestamps": times,
                    "Values": [row[query["MetricStat"]["Metric"]["MetricName"]] for row in self.metrics],
                }
                for query in request["MetricDataQueries"]
            ]
        }

    # ---- models and endpoints ----

    def get(self, kind: str, name: str) -> Dict[str, Any]:
        if name not in self.things[kind]:
            raise RefusedError("ValidationException", f'Could not find {kind} "{name}".')
        return self.things[kind][name]

    def make(self, kind: str, key: str, arn_key: str) -> Answer:
        def create(request: Dict[str, Any]) -> Dict[str, Any]:
            self.things[kind][request[key]] = {name: value for name, value in request.items() if name != "Tags"}
            return {arn_key: arn(kind[0])}

        return create

    def drop(self, kind: str, key: str) -> Answer:
        def delete(request: Dict[str, Any]) -> Dict[str, Any]:
            self.get(kind, request[key])
            del self.things[kind][request[key]]
            return {}

        return delete

    def update_endpoint(self, request: Dict[str, Any]) -> Dict[str, Any]:
        self.get("endpoint", request["EndpointName"]).update(request)
        return {"EndpointArn": arn("e")}

    def describe_endpoint(self, request: Dict[str, Any]) -> Dict[str, Any]:
        endpoint = self.get("endpoint", request["EndpointName"])
        settled = self.settling.pop(0) if self.settling else {}
        endpoint.update(settled)
        times = {"CreationTime": MOMENT, "LastModifiedTime": MOMENT}
        return {"EndpointStatus": "InService", **endpoint, **times, "EndpointArn": arn("endpoint/x")}


MOMENT = datetime(2026, 1, 31, 12)


def arn(what: str) -> str:
    return f"arn:aws:sagemaker:eu-central-1:123456789012:{what}/of-the-tests"


JOB = {
    "TrainingJobArn": arn("training-job"),
    "TrainingJobStatus": "InProgress",
    "SecondaryStatus": "Training",
    "ModelArtifacts": {"S3ModelArtifacts": "s3://bucket/first/output/model.tar.gz"},
    "AlgorithmSpecification": {"TrainingImage": "registry/image@sha256:1", "TrainingInputMode": "File"},
    "RoleArn": "arn:aws:iam::123456789012:role/of-the-job",
    "OutputDataConfig": {"S3OutputPath": "s3://bucket"},
    "ResourceConfig": {"InstanceType": "ml.c5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    "CreationTime": MOMENT,
}
