"""Micro-batching: the queries that arrive in two turns of the event loop share one run of the network.

It waits for nothing but them: a lone query is answered at once, and under load the batches grow by themselves.
A second turn takes in what came while the first was worked on, which more than doubles them.
"""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Sized, Tuple

import numpy as np

from rl_app.policy.loading import Outputs
from rl_app.policy.policy import Policy
from rl_app.serving.media_types.json import JSON, encode_each
from rl_app.serving.queries import Query, Reader
from rl_app.serving.refusal import Refusal
from rl_app.serving.slices import ROWS, slices
from rl_app.spaces.description import Array


class Batcher:
    """Answers queries with the policy, many by one run of its network.

    Args:
        reader: reads the observations that come as plain vectors.
        rng: draws the sampled actions.
        observe: is told the rows of each run of the network.
        under_way: the requests that the server has begun and not answered, of which each may be about to ask; more
            than there are costs two turns of the loop, and nothing else.
    """

    def __init__(
        self,
        policy: Policy,
        reader: Reader,
        rng: np.random.Generator,
        observe: Callable[[int], None],
        under_way: Sized,
    ) -> None:
        self._policy = policy
        self._reader = reader
        self._rng = rng
        self._observe = observe
        self._under_way = under_way
        self._queries: List[Tuple[Query, asyncio.Future[Outputs]]] = []
        self._vectors: List[Tuple[List[Any], asyncio.Future[bytes]]] = []
        self._due: Optional[asyncio.Handle] = None

    def ask(self, query: Query) -> asyncio.Future[Outputs]:
        """Give the answer, or the answer to come, together with those to whatever else is asked meanwhile."""
        future: asyncio.Future[Outputs] = self._loop.create_future()
        self._queries.append((query, future))
        self._answer_soon()
        return future

    def ask_vector(self, vector: List[Any]) -> asyncio.Future[bytes]:
        """Do the same for one observation of :meth:`Reader.vector`: its answer, or a Refusal, as JSON.

        Most requests are of this kind. Those of a batch are read and their answers written together, as
        :meth:`media types would each alone, in a fraction of the time.
        """
        future: asyncio.Future[bytes] = self._loop.create_future()
        self._vectors.append((vector, future))
        self._answer_soon()
        return future

    def answer(self, queries: Sequence[Query]) -> List[Outputs]:
        """Give one answer a query, each with the batch first, by one run of the network."""
        flat = joined([query.flat for query in queries])
        self._observe(len(flat))
        outputs = self._outputs(flat, self._states(queries), self._previous(queries))
        bounded = self._policy.bounded(outputs)
        return [
            part(bounded, where) if query.deterministic else self._sampled(part(outputs, where))
            for query, where in zip(queries, places(queries))
        ]

    def _outputs(self, flat: Array, states: Sequence[Array], previous: Mapping[str, Array]) -> Outputs:
        """Run the network, for a large batch a slice after the other: its layers are wider than its ends."""
        if len(flat) <= ROWS:
            return self._policy.act(flat, states, previous=previous)
        parts = [
            self._policy.act(flat[rows], [state[rows] for state in states], previous=part(previous, rows))
            for rows in slices(len(flat))
        ]
        return {name: np.concatenate([each[name] for each in parts]) for name in parts[0]}

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()  # a system call each time

    def _answer_soon(self) -> None:
        """Answer at once where nobody else can be about to ask, else after the next turn of the loop."""
        if len(self._queries) + len(self._vectors) >= len(self._under_way):
            self._answer_all()
        elif self._due is None:
            self._due = self._loop.call_soon(self._answer_after_a_turn)

    def _answer_after_a_turn(self) -> None:
        self._due = self._loop.call_soon(self._answer_all)

    def _answer_all(self) -> None:
        """Answer all that waits."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        queries, self._queries = self._queries, []
        vectors, self._vectors = self._vectors, []
        if queries:
            settle(queries, self.answer)
        if vectors:
            settle(vectors, self._answer_vectors)

    def _answer_vectors(self, vectors: Sequence[List[Any]]) -> Sequence[Any]:
        flat = self._reader.vectors(vectors) if len(vectors) > 1 else None
        if flat is not None:
            self._observe(len(flat))
            bodies = encode_each(self._policy.bounded(self._policy.act(flat)))
            if bodies is not None:
                return bodies
        return [self._answer_alone(vector) for vector in vectors]

    def _answer_alone(self, vector: List[Any]) -> Any:
        """Answer one as it is answered by itself: where it is alone, and where one of several is to be refused."""
        try:
            (outputs,) = self.answer([self._reader.query_of(vector)])
            return JSON.body(outputs, by_row=False)
        except Refusal as refusal:
            return refusal

    def _sampled(self, outputs: Outputs) -> Outputs:
        return self._policy.bounded(self._policy.sample(outputs, self._rng))

    def _states(self, queries: Sequence[Query]) -> List[Array]:
        """Join the states before the step; the initial one where a query gives none."""
        if not self._policy.state_sizes:
            return []
        states = [query.state or self._policy.initial_state(len(query.flat)) for query in queries]
        return [joined(parts) for parts in zip(*states)]

    def _previous(self, queries: Sequence[Query]) -> Mapping[str, Array]:
        """Join what the queries say of the last step; zeros where they say nothing."""
        previous: Dict[str, Array] = {}
        for name in dict.fromkeys(name for query in queries for name in query.previous):
            given = self._policy.inputs[name]
            previous[name] = np.concatenate(
                [
                    query.previous.get(name, np.zeros((len(query.flat), *(given.shape or ())), given.dtype))
                    for query in queries
                ]
            )
        return previous


def settle(waiting: Sequence[Tuple[Any, asyncio.Future[Any]]], answer: Callable[[List[Any]], Sequence[Any]]) -> None:
    """Give each of those who still wait its answer, or raises there what is an error."""
    try:
        answers = answer([asked for asked, _ in waiting])
    except Exception as error:  # each of them is told, and the server goes on
        answers = [error] * len(waiting)
    for (_, future), each in zip(waiting, answers):
        if future.done():  # whoever asked is gone
            continue
        if isinstance(each, Exception):
            future.set_exception(each)
        else:
            future.set_result(each)


def joined(arrays: Sequence[Array]) -> Array:
    """Join the rows of all arrays."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def places(queries: Sequence[Query]) -> Iterator[slice]:
    """Yield which rows of the whole batch are each query's."""
    start = 0
    for query in queries:
        stop = start + len(query.flat)
        yield slice(start, stop)
        start = stop


def part(outputs: Mapping[str, Array], rows: slice) -> Outputs:
    """Take those rows of every output."""
    return {name: values[rows] for name, values in outputs.items()}
