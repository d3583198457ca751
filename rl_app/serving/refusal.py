"""What a client did wrong, raised where it is seen and answered in one place."""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818  # the client's error, not ours
    """A request that is not answered as asked: ``status`` is 4xx, the text one sentence for the client."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def bad(text: str) -> Refusal:
    """The request is understood and wrong: 400."""
    return Refusal(400, text)
