"""Micro-batching: the questions that arrive in two turns of the event loop share one run of the network.

It waits for nothing but them: a lone question is answered at once, and under load the batches grow by themselves.
A second turn takes in what came while the first was worked on, which more than doubles them.
"""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Sized, Tuple

import numpy as np

from rl_app.policies import Outputs, Policy
from rl_app.serving.messages import JSON, Question, Reader, answered, as_json_each
from rl_app.serving.observations import Array
from rl_app.serving.refusal import Refusal


class Answers:
    """Answers questions with the policy.

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
        self._questions: List[Tuple[Question, asyncio.Future[Outputs]]] = []
        self._vectors: List[Tuple[List[Any], asyncio.Future[bytes]]] = []
        self._due: Optional[asyncio.Handle] = None

    def ask(self, question: Question) -> asyncio.Future[Outputs]:
        """The answer, or the answer to come, together with those to whatever else is asked meanwhile."""
        future: asyncio.Future[Outputs] = self._loop.create_future()
        self._questions.append((question, future))
        self._answer_soon()
        return future

    def ask_vector(self, vector: List[Any]) -> asyncio.Future[bytes]:
        """The same for one observation of :meth:`Reader.vector`: its answer, or a Refusal, as JSON.

        Most requests are of this kind. Those of a batch are read and their answers written together, as
        :meth:`Reader.json` and :func:`answered` would each alone, in a fraction of the time.
        """
        future: asyncio.Future[bytes] = self._loop.create_future()
        self._vectors.append((vector, future))
        self._answer_soon()
        return future

    def answer(self, questions: Sequence[Question]) -> List[Outputs]:
        """One answer a question, each with the batch first, by one run of the network."""
        flat = joined([question.flat for question in questions])
        self._observe(len(flat))
        outputs = self._policy.act(flat, self._states(questions), previous=self._previous(questions))
        bounded = self._policy.bounded(outputs)
        return [
            part(bounded, where) if question.deterministic else self._sampled(part(outputs, where))
            for question, where in zip(questions, places(questions))
        ]

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()  # a system call each time

    def _answer_soon(self) -> None:
        """At once where nobody else can be about to ask, else after the next turn of the loop."""
        if len(self._questions) + len(self._vectors) >= len(self._under_way):
            self._answer_all()
        elif self._due is None:
            self._due = self._loop.call_soon(self._answer_after_a_turn)

    def _answer_after_a_turn(self) -> None:
        self._due = self._loop.call_soon(self._answer_all)

    def _answer_all(self) -> None:
        """Answers all that waits."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        questions, self._questions = self._questions, []
        vectors, self._vectors = self._vectors, []
        if questions:
            settle(questions, self.answer)
        if vectors:
            settle(vectors, self._answer_vectors)

    def _answer_vectors(self, vectors: Sequence[List[Any]]) -> Sequence[Any]:
        flat = self._reader.vectors(vectors) if len(vectors) > 1 else None
        if flat is not None:
            self._observe(len(flat))
            bodies = as_json_each(self._policy.bounded(self._policy.act(flat)))
            if bodies is not None:
                return bodies
        return [self._answer_alone(vector) for vector in vectors]

    def _answer_alone(self, vector: List[Any]) -> Any:
        """One of them as it is answered by itself: where it is alone, and where one of several is to be refused."""
        try:
            (outputs,) = self.answer([self._reader.question_of(vector)])
            return answered(outputs, JSON, by_row=False)
        except Refusal as refusal:
            return refusal

    def _sampled(self, outputs: Outputs) -> Outputs:
        return self._policy.bounded(self._policy.sample(outputs, self._rng))

    def _states(self, questions: Sequence[Question]) -> List[Array]:
        """The states before the step; the initial one where a question gives none."""
        if not self._policy.state_sizes:
            return []
        states = [question.state or self._policy.initial_state(len(question.flat)) for question in questions]
        return [joined(parts) for parts in zip(*states)]

    def _previous(self, questions: Sequence[Question]) -> Mapping[str, Array]:
        """What the questions say of the last step; zeros where they say nothing."""
        previous: Dict[str, Array] = {}
        for name in dict.fromkeys(name for question in questions for name in question.previous):
            given = self._policy.inputs[name]
            previous[name] = np.concatenate(
                [
                    question.previous.get(name, np.zeros((len(question.flat), *(given.shape or ())), given.dtype))
                    for question in questions
                ]
            )
        return previous


def settle(waiting: Sequence[Tuple[Any, asyncio.Future[Any]]], answer: Callable[[List[Any]], Sequence[Any]]) -> None:
    """Gives each of those who still wait its answer, or raises there what is an error."""
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
    """The rows of all arrays."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def places(questions: Sequence[Question]) -> Iterator[slice]:
    """Which rows of the whole batch are each question's."""
    start = 0
    for question in questions:
        stop = start + len(question.flat)
        yield slice(start, stop)
        start = stop


def part(outputs: Outputs, rows: slice) -> Outputs:
    """Those rows of every output."""
    return {name: values[rows] for name, values in outputs.items()}
