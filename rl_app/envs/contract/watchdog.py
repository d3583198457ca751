"""The watch over calls of environments: one that hangs is ended, with a line that says where it hung."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from types import FrameType
from typing import Any, Callable, Dict, Optional, Tuple

from rl_app.envs.contract.blame import blamed
from rl_app.envs.contract.notices import say_once
from rl_app.errors import UserError, place_of
from rl_app.job import sagemaker

Call = Tuple[int, str, str, float]
"""The thread that makes it, the environment, the method, and the seconds after which it hangs."""


class Watchdog:
    """Ends a call of an environment that hangs, with a line that says where.

    In the main thread by a signal, whose handler raises in the midst of the call. A call in another thread, or in
    a library that does not look at signals, cannot be ended but with the process, which says so first.
    """

    TICK_S = 1.0
    # What the main thread has for its handler to run.
    PATIENCE_S = 5.0

    def __init__(self) -> None:
        # Of each thread the call under way
        self.calls: Dict[int, Call] = {}
        self._thread: Optional[threading.Thread] = None

    def start(self) -> None:
        """To be called before the first call, by the thread that is to make them."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGUSR1, self._interrupt)
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="environment watchdog", daemon=True)
            self._thread.start()

    def begin(self, name: str, where: str, deadline_s: float) -> Call:
        """Watch a call of this thread, up to :meth:`end`."""
        thread = threading.get_ident()
        call = self.calls[thread] = (thread, name, where, deadline_s)
        return call

    def end(self, call: Call) -> None:
        del self.calls[call[0]]

    def _watch(self) -> None:
        # Counted in ticks: a process that was paused finds its clock ahead, and its calls have not hung.
        ticks: Dict[int, Tuple[Call, int]] = {}
        never = threading.Event()
        while not never.wait(self.TICK_S):
            ticks = {
                thread: (call, ticks[thread][1] + 1 if ticks.get(thread, (None,))[0] is call else 0)
                for thread, call in list(self.calls.items())
            }
            for call, count in ticks.values():
                self._judge(call, count * self.TICK_S)

    def _judge(self, call: Call, lasted_s: float) -> None:
        thread, _, _, deadline_s = call
        main = thread == threading.main_thread().ident
        if lasted_s >= deadline_s + (self.PATIENCE_S if main else 0):
            write_last_words(hung(call, sys._current_frames().get(thread)))
            os._exit(UserError.errno)
        if main and lasted_s >= deadline_s:
            signal.pthread_kill(thread, signal.SIGUSR1)

    def _interrupt(self, _: int, frame: Optional[FrameType]) -> None:
        call = self.calls.get(threading.get_ident())
        if call:
            raise UserError(hung(call, frame))


def hung(call: Call, frame: Optional[FrameType]) -> str:
    """Return the line that says so; ``frame`` is where the call is."""
    _, name, where, deadline_s = call
    place = f" ({place_of(traceback.extract_stack(frame))})" if frame else ""
    return f"env = {name}: {where} did not return in {deadline_s:.0f} s, which env_deadline sets{place}"


def write_last_words(line: str) -> None:
    """Say why the process ends, in the job's failure too: one of Ray's workers has nobody else to tell."""
    print(line, file=sys.stderr, flush=True)
    sagemaker.write_failure(sagemaker.paths(), line)


WATCHDOG = Watchdog()


def watched(
    name: str, deadline_s: float, where: str, method: Callable[..., Any], /, *arguments: Any, **named: Any
) -> Any:
    """Call what a person has written for the environment ``name``; what goes wrong there is told with its place.

    Raises:
        UserError: it raised, or did not return in ``deadline_s`` seconds.
    """
    call = WATCHDOG.begin(name, where, deadline_s)
    try:
        return method(*arguments, **named)
    except Exception as error:
        raise blamed(error, name, where, method) from error
    finally:
        WATCHDOG.end(call)


def closed(name: str, deadline_s: float, close: Callable[[], Any]) -> None:
    """Close an environment. What it raises there is said once, and ends nothing: all that was wanted of it is done.

    Raises:
        UserError: it did not return in ``deadline_s`` seconds.
    """

    def close_or_say() -> None:
        try:
            close()
        except Exception as error:
            if isinstance(error, UserError):
                raise
            line = str(blamed(error, name, "close"))
            say_once(line, f"{line}; it stays as it is")

    watched(name, deadline_s, "close", close_or_say)
