"""What a client did wrong, raised where it is seen and answered in one place."""

from __future__ import annotations

from typing import Optional

import orjson

LONGEST = 1000
"""Letters of a sentence: names in it may be the client's own."""


class Refusal(Exception):  # noqa: N818  # the client's error, not ours
    """A request that is not answered as asked: ``status`` is 4xx, the text one sentence for the client."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(printable(text))
        self.status = status


def bad(text: str) -> Refusal:
    """Make the refusal of a request that is understood and wrong: 400."""
    return Refusal(400, text)


def error_body(refusal: Optional[Refusal]) -> bytes:
    """Write the body of a refusal; without one, of our own failure."""
    text = "the server failed to answer; its log says why" if refusal is None else str(refusal)
    return orjson.dumps({"error": text})


def printable(text: str) -> str:
    """Make a text one line that is not too long, whatever a client put into it."""
    short = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return short if short.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in short)
