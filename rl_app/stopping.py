"""SIGTERM and Ctrl-C as a request to finish, with a limit on the iteration that is under way."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from types import FrameType
from typing import Any, Callable, Dict, Iterator, Optional

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class IterationDropped(Exception):  # noqa: N818  # no error: the job goes on to its end
    """A stop was asked for, and the iteration under way did not end within the grace."""


class StopRequest:
    """Truthy once one of :data:`SIGNALS` came.

    SageMaker gives 120 s from SIGTERM to SIGKILL, in which the job has to save, export and upload, so an
    iteration may take only ``grace_s`` of them before :class:`IterationDropped` is raised inside it.
    ``on_request`` is called with the first signal.
    """

    def __init__(self, grace_s: float = 10.0, on_request: Optional[Callable[[int], None]] = None) -> None:
        self.signal: Optional[int] = None
        self._grace_s = grace_s
        self._on_request = on_request
        self._iterating = False
        self._previous: Dict[int, Any] = {}

    def __bool__(self) -> bool:
        return self.signal is not None

    def __enter__(self) -> StopRequest:
        for number in SIGNALS:
            self._previous[number] = signal.signal(number, self._request)
        self._previous[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._drop)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @contextmanager
    def iteration(self) -> Iterator[None]:
        """Marks what may be dropped."""
        self._iterating = True
        try:
            yield
        finally:
            self._iterating = False

    def _request(self, number: int, _: Optional[FrameType]) -> None:
        if self.signal is None:
            self.signal = number
            signal.setitimer(signal.ITIMER_REAL, self._grace_s)
            if self._on_request is not None:
                self._on_request(number)

    def _drop(self, _: int, __: Optional[FrameType]) -> None:
        if self._iterating:
            raise IterationDropped(f"the iteration did not end in {self._grace_s:.0f} s")
