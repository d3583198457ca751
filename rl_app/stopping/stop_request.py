"""SIGTERM and Ctrl-C as a request to finish, with a limit on what is under way when it comes."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from types import FrameType
from typing import Any, Callable, Dict, Iterator, Optional, Type

STOP = signal.SIGUSR2
"""SIGTERM by another number, of which Ray and what it is made of know nothing: see :mod:`rl_app.stopping.relay`."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, STOP)
AGAIN_S = 5.0


class IterationDropped(KeyboardInterrupt):
    """A stop was asked for, and the iteration under way did not end within the grace.

    Ray 0.8.5 waits for its workers in ``ray.get`` and ``ray.wait``, out of which it lets a KeyboardInterrupt alone.
    """


class StoppedEarly(KeyboardInterrupt):
    """A stop was asked for before an iteration was done, so that there is nothing to save."""

    def __init__(self, _: str = "") -> None:
        super().__init__("stopped before an iteration was done: there is no model")


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
        # What the block that runs may be cut by, how long it may still take, and why it was cut
        self._cut_by: Optional[Type[KeyboardInterrupt]] = None
        self._left_s = grace_s
        self._reason = ""
        self._error: Optional[Exception] = None
        self._previous: Dict[int, Any] = {}

    def __bool__(self) -> bool:
        return self.signal is not None

    def __enter__(self) -> StopRequest:
        self.hold()
        return self

    def __exit__(self, *_: object) -> None:
        self.disarm()
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def hold(self) -> None:
        """Take the signals from here on."""
        for number in SIGNALS:
            self._previous[number] = signal.signal(number, self._request)
        self._previous[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._cut)

    def disarm(self) -> None:
        """Cut nothing from here on."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def interrupt(self, error: Exception) -> None:
        """Raise the error in what may be cut, now or in the next such block; any thread may call it.

        Of a job that was asked to stop it ends the iteration alone, which is then dropped.
        """
        self._error = error
        signal.setitimer(signal.ITIMER_REAL, 0.001, AGAIN_S)

    def go_on(self) -> None:
        """Forget the error of :meth:`interrupt`, which has been dealt with."""
        self._error, self._reason = None, ""
        if not self:
            self.disarm()

    @contextmanager
    def iteration(self) -> Iterator[None]:
        """Mark what may be dropped."""
        with self._cuttable(IterationDropped, self._grace_s):
            yield

    @contextmanager
    def before_training(self, grace_s: Optional[float] = None) -> Iterator[None]:
        """Mark what is done before the first iteration, at whose beginning and end a stop counts at once.

        Raises:
            StoppedEarly: a stop was asked for, and within ``grace_s`` the block did not end.
        """
        self._check()
        with self._cuttable(StoppedEarly, self._grace_s if grace_s is None else grace_s):
            yield
        self._check()

    def _check(self) -> None:
        if self:
            raise StoppedEarly

    @contextmanager
    def _cuttable(self, error: Type[KeyboardInterrupt], grace_s: float) -> Iterator[None]:
        if self._error is not None and not self:
            raise self._error
        self._cut_by, self._left_s = error, grace_s
        try:
            yield
        except KeyboardInterrupt:
            if self._error is not None and not self:
                raise self._error from None
            if self._reason:  # Ray raises one of its own in place of ours
                raise error(self._reason) from None
            raise
        finally:
            self._cut_by, self._left_s = None, self._grace_s

    def _request(self, number: int, _: Optional[FrameType]) -> None:
        if self.signal is None:
            self.signal = signal.SIGTERM if number == STOP else number
            # Again and again: what is raised in a finalizer, say, is lost
            signal.setitimer(signal.ITIMER_REAL, max(self._left_s, 0.001), AGAIN_S)
            if self._on_request is not None:
                self._on_request(self.signal)

    def _cut(self, _: int, __: Optional[FrameType]) -> None:
        if self._cut_by is not None:
            self._reason = str(self._error or f"the iteration did not end in {self._left_s:.0f} s")
            raise self._cut_by(self._reason)
