"""A stop is noticed between iterations, and cuts an iteration that does not end."""

import os
import signal
import threading
import time
from contextlib import suppress

import pytest

from rl_app.stopping import stop_request
from rl_app.stopping.stop_request import IterationDropped, StoppedEarly, StopRequest


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


def interrupted_from_elsewhere(stop, after_s=0.0):
    timer = threading.Timer(after_s, stop.interrupt, (OSError("lost"),))
    timer.start()
    return timer


def test_an_error_of_another_thread_ends_the_iteration_and_can_be_dealt_with():
    with StopRequest() as stop:
        with pytest.raises(OSError, match="lost"), stop.iteration():
            interrupted_from_elsewhere(stop, 0.1)
            wait_for(lambda: False)
        with pytest.raises(OSError, match="lost"), stop.iteration():
            pytest.fail("it begins though the error was not dealt with")
        stop.go_on()
        with stop.iteration():
            pass


def test_an_error_outside_of_what_may_be_cut_waits_for_the_next_iteration():
    with StopRequest() as stop:
        interrupted_from_elsewhere(stop).join()
        began = time.monotonic()
        wait_for(lambda: time.monotonic() - began > 0.1)
        with pytest.raises(OSError, match="lost"), stop.before_training():
            pass


def test_of_a_job_that_is_to_stop_an_error_drops_the_iteration():
    with StopRequest(grace_s=60) as stop, pytest.raises(IterationDropped, match="lost"), stop.iteration():
        os.kill(os.getpid(), signal.SIGTERM)
        wait_for(lambda: bool(stop))
        interrupted_from_elsewhere(stop)
        wait_for(lambda: False)


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


def test_what_is_done_before_training_is_cut_at_once():
    with StopRequest() as stop, pytest.raises(StoppedEarly, match="no model"), stop.before_training(grace_s=0):
        os.kill(os.getpid(), signal.SIGTERM)
        wait_for(lambda: False)


def test_what_is_done_before_training_is_not_begun_after_a_stop():
    begun = []
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        wait_for(lambda: bool(stop))
        with pytest.raises(StoppedEarly), stop.before_training():
            begun.append(True)
    assert not begun


def test_it_ends_at_its_end_where_it_could_not_be_cut():
    with StopRequest() as stop, pytest.raises(StoppedEarly), stop.before_training():
        os.kill(os.getpid(), signal.SIGTERM)


def test_an_interrupt_of_a_library_in_place_of_ours_is_ours_again():
    """As Ray's ``get`` and ``wait`` make it: a plain KeyboardInterrupt, whatever the handler raised."""
    with StopRequest(grace_s=0.05) as stop, pytest.raises(IterationDropped, match="did not end"), stop.iteration():
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            wait_for(lambda: False)
        except IterationDropped:
            raise KeyboardInterrupt from None


def test_a_cut_that_gets_lost_comes_again(monkeypatch):
    monkeypatch.setattr(stop_request, "AGAIN_S", 0.05)
    with StopRequest(grace_s=0.05) as stop, pytest.raises(IterationDropped), stop.iteration():
        os.kill(os.getpid(), signal.SIGTERM)
        with suppress(IterationDropped):
            wait_for(lambda: False)
        wait_for(lambda: False)


def test_the_signal_of_the_relay_is_a_sigterm():
    seen = []
    with StopRequest(on_request=seen.append) as stop:
        os.kill(os.getpid(), stop_request.STOP)
        wait_for(lambda: bool(stop))
    assert seen == [signal.SIGTERM]
