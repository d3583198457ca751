"""Imports of which Python's collector sees nothing."""

from __future__ import annotations

import gc

import pytest

from rl_app.garbage import uncollected


def test_the_collector_goes_on_after_the_block_also_where_it_fails() -> None:
    with pytest.raises(KeyError), uncollected():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_the_block_has_made_is_not_looked_at_again() -> None:
    before = gc.get_freeze_count()
    with uncollected():
        kept = [[number] for number in range(10_000)]
    assert gc.get_freeze_count() > before + len(kept)
