"""What a person expects of Tune's trial folder, written for a trainer that runs without Tune."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import cloudpickle  # type: ignore[import-untyped]
from ray.tune.logger import CSVLogger, JsonLogger, Logger, TBXLogger, _SafeFallbackEncoder

from rl_app import plain
from rl_app.masking import masked


class AtOnce(TBXLogger):  # type: ignore[misc]  # Ray has no types
    """Writes TensorBoard's events itself, those of a result as one.

    tensorboardX sends each through a pipe, made for processes, to a thread that writes it, and has no more than ten
    under way: the trainer would wait for that thread each iteration, for as long as an iteration's learning.
    """

    def _init(self) -> None:
        super()._init()
        events = self._file_writer.file_writer.event_writer
        self._events: List[Any] = []
        events.add_event, self._write = self._events.append, events._ev_writer.write_event

    def on_result(self, result: Dict[str, Any]) -> None:
        super().on_result(result)
        first, *others = self._events
        for event in others:
            first.summary.value.extend(event.summary.value)
        self._write(first)
        self._events.clear()


class Lines(JsonLogger):  # type: ignore[misc]  # Ray has no types
    """Writes the same lines by json.dumps, which has an encoder in C; json.dump has none."""

    def on_result(self, result: Dict[str, Any]) -> None:
        self.local_out.write(json.dumps(result, cls=_SafeFallbackEncoder) + "\n")
        self.local_out.flush()


class TrialLogger(Logger):  # type: ignore[misc]  # Ray has no types
    """params.json, params.pkl, result.json, progress.csv and TensorBoard events, by Tune's own loggers.

    Its config is what the trial was given, as Tune's is. What JSON cannot hold of it is in params.pkl alone: Tune
    would write a class as the text that Python shows for it, which no agent can be built from.
    Tune's UnifiedLogger does the same and adds a syncer, which logs an error where rsync is missing.
    """

    def _init(self) -> None:
        given = masked(self.config)
        data = plain.data(given)
        self._loggers = [kind(data, self.logdir) for kind in (Lines, CSVLogger, AtOnce)]
        (Path(self.logdir) / "params.pkl").write_bytes(cloudpickle.dumps(given))

    def on_result(self, result: Dict[str, Any]) -> None:
        """Leave it to :func:`log`: RLlib calls this before it evaluates, and Tune would log what it then returns."""

    def write(self, result: Dict[str, Any]) -> None:
        """Log one whole result; of what a callback has put in it, Tune's loggers take no keys but text."""
        held = {**plain.keyed(result), "config": plain.data(masked(result.get("config", {})))}
        for logger in self._loggers:
            logger.on_result(held)
        self.flush()

    def flush(self) -> None:
        for logger in self._loggers:
            logger.flush()

    def close(self) -> None:
        for logger in self._loggers:
            logger.close()


def log(trainer: Any, result: Dict[str, Any]) -> None:
    """Log what ``trainer.train()`` has returned, in the trial folder of a trainer that was made with its logger."""
    trainer._result_logger.write(result)
