"""What a person expects of Tune's trial folder, written for a trainer that runs without Tune."""

from __future__ import annotations

from typing import Any, Dict

from ray.tune.logger import CSVLogger, JsonLogger, Logger, TBXLogger


class TrialLogger(Logger):  # type: ignore[misc]  # Ray has no types
    """params.json, params.pkl, result.json, progress.csv and TensorBoard events, by Tune's own loggers.

    Tune's UnifiedLogger does the same and adds a syncer, which logs an error where rsync is missing.
    """

    def _init(self) -> None:
        self._loggers = [kind(self.config, self.logdir) for kind in (JsonLogger, CSVLogger, TBXLogger)]

    def on_result(self, result: Dict[str, Any]) -> None:
        for logger in self._loggers:
            logger.on_result(result)
        self.flush()

    def flush(self) -> None:
        for logger in self._loggers:
            logger.flush()

    def close(self) -> None:
        for logger in self._loggers:
            logger.close()
