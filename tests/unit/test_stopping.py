"""A stop is noticed between iterations, and cuts an iteration that does not end."""

import os
import signal
import time

import pytest

from rl_app.stopping import IterationDropped, StopRequest


def wait_for(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_a_request_and_no_exception(number):
    with StopRequest() as stop:
        assert not stop
        os.kill(os.getpid(), number)
        wait_for(lambda: bool(stop))
        assert stop.signal == number


def test_an_iteration_that_does_not_end_is_dropped():
    with StopRequest(grace_s=0.1) as stop, pytest.raises(IterationDropped), stop.iteration():
        os.kill(os.getpid(), signal.SIGTERM)
        wait_for(lambda: False)


def test_what_comes_after_the_iteration_is_not_cut():
    with StopRequest(grace_s=0.05) as stop:
        with stop.iteration():
            os.kill(os.getpid(), signal.SIGTERM)
        started = time.monotonic()
        wait_for(lambda: time.monotonic() - started > 0.2)
        assert stop


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_first_signal_is_passed_on_once():
    seen = []
    with StopRequest(on_request=seen.append) as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        wait_for(lambda: bool(stop))
        os.kill(os.getpid(), signal.SIGINT)
        wait_for(lambda: True)
    assert seen == [signal.SIGTERM]
