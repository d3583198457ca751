"""What is in a trial's folder when an iteration's line is printed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
from tensorboardX.proto.event_pb2 import Event

from rl_app.training.trial_logger import TrialLogger

FIGURES = {f"figure_{number}": float(number) for number in range(50)}


def test_an_iteration_is_in_all_files_as_soon_as_it_is_logged(tmp_path: Path) -> None:
    logger = TrialLogger({"lr": 1e-3}, str(tmp_path))
    result = {**FIGURES, "training_iteration": 1, "timesteps_total": 4096, "config": {"lr": 1e-3}}

    logger.write(result)

    (line,) = (tmp_path / "result.json").read_text().splitlines()
    assert json.loads(line) == result
    assert len((tmp_path / "progress.csv").read_text().splitlines()) == 2
    (events,) = tmp_path.glob("events.out.tfevents.*")
    shown = {value.tag: value.simple_value for event in read(events) for value in event.summary.value}
    assert {name: shown[f"ray/tune/{name}"] for name in FIGURES} == FIGURES
    logger.close()


def test_what_a_callback_puts_in_a_result_is_logged_whatever_its_keys(tmp_path: Path) -> None:
    logger = TrialLogger({}, str(tmp_path))
    own = {"levels": {1: {"won": np.float32(0.5)}, (2, 3): 1}, "array": np.arange(3), "thing": object()}
    logger.write({"training_iteration": 1, "timesteps_total": 1, "config": {}, **own})
    (line,) = (tmp_path / "result.json").read_text().splitlines()
    assert json.loads(line)["levels"] == {"1": {"won": 0.5}, "(2, 3)": 1}
    head, row = csv.reader((tmp_path / "progress.csv").read_text().splitlines())
    assert row[head.index("levels/1/won")] == "0.5"
    logger.close()


def read(file: Path) -> "list[Event]":
    """The events of a file: each a length of eight bytes, four of a sum, the event, and four of a sum."""
    data, events = file.read_bytes(), []
    while data:
        size = int.from_bytes(data[:8], "little")
        events.append(Event.FromString(data[12 : 12 + size]))
        data = data[16 + size :]
    return events
