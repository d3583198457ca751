"""What job.json holds, and of which types; anyone may have written it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, List

from rl_app.errors import UserError
from rl_app.typed import (
    COUNT,
    NUMBER,
    OBJECT,
    TEXT,
    Check,
    Mismatch,
    list_of,
    object_of,
    of,
    optional,
    parse,
    values_of,
)

Record = Dict[str, Any]
STATES = ("InProgress", "Completed", "Failed", "Stopping", "Stopped")


def _is_time(value: Any) -> bool:
    try:
        datetime.fromisoformat(value.replace("Z", "+00:00"))
    except (AttributeError, ValueError):
        return False
    return True


_TIME = of("a time such as 2026-01-31T12:00:00+00:00", _is_time)
_PROCESSES = of(
    "an object of processes by their numbers", lambda value: isinstance(value, dict) and all(map(str.isdecimal, value))
)
_LOCAL: Dict[str, Check] = {"Host": TEXT, "Space": optional(TEXT), "Processes": _PROCESSES}
_METRIC = object_of({}, {"MetricName": TEXT, "Value": NUMBER})
_SOURCE = object_of({}, {"S3DataSource": object_of({}, {"S3Uri": TEXT})})
_TYPES: Dict[str, Check] = {
    "TrainingJobName": TEXT,
    "TrainingJobStatus": of(f"one of {', '.join(STATES)}", lambda value: value in STATES),
    "SecondaryStatus": TEXT,
    "CreationTime": _TIME,
    "LastModifiedTime": _TIME,
    "TrainingStartTime": _TIME,
    "TrainingEndTime": _TIME,
    "TrainingTimeInSeconds": optional(COUNT),
    "FailureReason": optional(TEXT),
    "HyperParameters": values_of(TEXT),
    "InputDataConfig": list_of(object_of({}, {"ChannelName": TEXT, "DataSource": _SOURCE})),
    "OutputDataConfig": object_of({"S3OutputPath": TEXT}),
    "ModelArtifacts": object_of({"S3ModelArtifacts": TEXT}),
    "FinalMetricDataList": list_of(_METRIC),
    "StoppingCondition": OBJECT,
    "Versions": values_of(TEXT),
    "Local": object_of(_LOCAL),
}


def read(text: bytes, file: str) -> Record:
    """Read job.json; raises UserError, which names file and key, for what is none."""
    record, wrong = read_what_is_sound(text, file)
    if wrong:
        raise UserError(wrong[0])
    runs = record.get("TrainingJobStatus") == "InProgress"
    of_all = object_of({}, {"TrainingJobName": TEXT, "TrainingJobStatus": TEXT})
    of_running = object_of({}, {"Local": object_of({}, _LOCAL), "LastModifiedTime": TEXT})
    try:
        for check in (of_all, of_running) if runs else (of_all,):
            check(record, "")
    except Mismatch as error:
        raise UserError(f"{file}: {error}") from None
    return record


def read_what_is_sound(text: bytes, file: str) -> "tuple[Record, List[str]]":
    """Read job.json without the keys that are of a wrong type, and give a line for each of these."""
    try:
        record = parse(text, file)
        OBJECT(record, "it")
    except UserError as error:
        return {}, [str(error)]
    except Mismatch as error:
        return {}, [f"{file}: {error}"]
    wrong = {}
    for key, check in _TYPES.items():
        try:
            if key in record:
                check(record[key], key)
        except Mismatch as error:
            wrong[key] = f"{file}: {error}"
    return {key: value for key, value in record.items() if key not in wrong}, list(wrong.values())
