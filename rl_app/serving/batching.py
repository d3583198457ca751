"""Requests of one turn of the event loop share one run of the network."""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, List, Sequence, Tuple, Union

import numpy as np

from rl_app.errors import UserError
from rl_app.policies import Outputs, Policy
from rl_app.serving.codecs import Query
from rl_app.serving.schema import RequestError

Array = Any
Result = Union[Outputs, Exception]
Done = Callable[[Result], None]

# A query with more observations is answered in a thread, so that the others and /ping do not wait for it
LARGEST_SHARED = 256


class Batcher:
    """Collects queries and answers them together; ``measure`` is told how many observations each run had."""

    def __init__(
        self, policy: Policy, loop: asyncio.AbstractEventLoop, measure: Callable[[int], None] = lambda _: None
    ) -> None:
        self._policy, self._loop, self._measure = policy, loop, measure
        self._pending: List[Tuple[Query, Done]] = []
        self._thread = ThreadPoolExecutor(1, "large")

    def submit(self, query: Query, done: Done) -> None:
        """Calls ``done`` in the event loop, once, with the outputs or with what went wrong."""
        if len(query.observations) > LARGEST_SHARED:
            self._loop.run_in_executor(self._thread, self._answer_large, query, done)
            return
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending.append((query, done))

    def _flush(self) -> None:
        pending, self._pending = self._pending, []
        queries = [query for query, _ in pending]
        self._measure(sum(len(query.observations) for query in queries))
        for (_, done), result in zip(pending, answer(self._policy, queries)):
            done(result)

    def _answer_large(self, query: Query, done: Done) -> None:
        (result,) = answer(self._policy, [query])
        self._loop.call_soon_threadsafe(self._measure, len(query.observations))
        self._loop.call_soon_threadsafe(done, result)


def answer(policy: Policy, queries: Sequence[Query]) -> List[Result]:
    """The answer to each query, from one run of the network: outputs, or the exception that is its answer."""
    try:
        observations = _joined([query.observations for query in queries])
        if _finite(observations):
            return _run(policy, observations, queries)
    except Exception as error:  # the network's; no query of the batch is to blame
        return [error] * len(queries)
    if len(queries) > 1:
        return [answer(policy, [query])[0] for query in queries]
    return [RequestError("observations: finite numbers within the range of a 32-bit float are expected")]


def _finite(observations: Array) -> bool:
    """Whether the network gets finite numbers only: as float32, which they become.

    The sum of squares is a cheap sign: where it is finite, every number is. The reverse does not hold.
    """
    narrow = observations.astype(np.float32, copy=False)
    return math.isfinite(np.vdot(narrow, narrow)) or bool(np.isfinite(narrow).all())


def _has_nan(outputs: Array) -> bool:
    return math.isnan(np.vdot(outputs, outputs)) and bool(np.isnan(outputs).any())


def _run(policy: Policy, observations: Array, queries: Sequence[Query]) -> List[Result]:
    outputs = policy.act(observations, _states(policy, queries), previous=_previous(policy, queries))
    overflown = _has_nan(outputs["action_dist_inputs"])
    bounded = policy.bounded(outputs)
    if len(queries) == 1:
        return [_result(policy, queries[0], outputs, bounded, overflown)]
    results = []
    start = 0
    for query in queries:
        stop = start + len(query.observations)
        part = {name: column[start:stop] for name, column in (bounded if query.deterministic else outputs).items()}
        results.append(_result(policy, query, part, part, overflown and _has_nan(part["action_dist_inputs"])))
        start = stop
    return results


def _result(policy: Policy, query: Query, outputs: Outputs, bounded: Outputs, overflown: bool) -> Result:
    """The result of one query from its outputs; ``bounded`` is needed of them where it is deterministic."""
    if overflown:
        return RequestError("observations: so large that the network's answer is no number")
    if query.deterministic:
        return bounded
    try:
        return policy.bounded(policy.sample(outputs, np.random.default_rng(query.seed)))
    except UserError as error:
        return RequestError(f"deterministic: {error}")


def _states(policy: Policy, queries: Sequence[Query]) -> List[Array]:
    """The recurrent states of all queries, initial ones for those that have none."""
    if not policy.state_sizes:
        return []
    states = [query.state or policy.initial_state(len(query.observations)) for query in queries]
    return [_joined(columns) for columns in zip(*states)]


def _previous(policy: Policy, queries: Sequence[Query]) -> Dict[str, Array]:
    """The previous actions and rewards of all queries, zeros for those that have none."""
    return {
        name: _joined(
            [
                query.previous[name]
                if name in query.previous
                else np.zeros((len(query.observations), *(given.shape or ())))
                for query in queries
            ]
        )
        for name, given in policy.inputs.items()
        if any(name in query.previous for query in queries)
    }


def _joined(arrays: Sequence[Array]) -> Array:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
