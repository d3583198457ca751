"""What tells RLlib's own optimizer to take over; it imports nothing, for it is asked for before Ray is there."""

from __future__ import annotations


class NoLoopError(Exception):
    """Why a user's own network could not be put into the loop, which is known only once that is tried."""
