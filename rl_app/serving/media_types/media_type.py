"""What a media type is: one value, from which requests, answers and the OpenAPI document are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Optional, Tuple

from rl_app.policy.loading import Outputs
from rl_app.policy.policy import Policy
from rl_app.serving.outputs import are_finite
from rl_app.serving.queries import Query, Reader
from rl_app.serving.refusal import bad
from rl_app.serving.schemas import Schema

SHORT = 8192
"""Bytes of an answer up to which its text is read in less time than its numbers are."""


@dataclass(frozen=True, eq=False)
class MediaType:
    """A media type of requests and answers.

    Attributes:
        name: as ``Content-Type``, ``Accept`` and the OpenAPI document have it.
        decode: reads a request's body; raises Refusal for what the client can mend.
        encode: writes an answer's body from the outputs; its flag says that the answer is one for each row.
        request: gives the schema of a request's body, for one policy.
        answer: the schema of an answer's body.
        example: gives a request's body for the document to show, for one policy; None where it shows none.
        aliases: what else a request may call it.
        writes_null: whether ``null`` stands in its text for each number that is not finite, and for nothing else.
    """

    name: str
    decode: Callable[[Reader, bytes], Query]
    encode: Callable[[Outputs, bool], bytes]
    request: Callable[[Policy], Schema]
    answer: Schema
    example: Optional[Callable[[Policy], Any]] = None
    aliases: Tuple[str, ...] = ()
    writes_null: bool = False

    @property
    def names(self) -> Tuple[str, ...]:
        """Lists its name and its aliases."""
        return (self.name, *self.aliases)

    def body(self, outputs: Outputs, by_row: bool) -> bytes:
        """Write an answer; raises Refusal where the network overflowed, for then its action means nothing."""
        body = self.encode(outputs, by_row)
        looks_finite = self.writes_null and len(body) < SHORT and b"null" not in body
        if not looks_finite and not are_finite(outputs):
            raise bad("observations: so large that the network's answer is not finite")
        return body
