"""Micro-batching: the questions that arrive in one turn of the event loop share one run of the network.

It waits for nothing: a lone question is answered at once, and under load the batches grow by themselves.
"""

from __future__ import annotations

import asyncio
from typing import Callable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from rl_app.policies import Outputs, Policy
from rl_app.serving.messages import Question, Reader
from rl_app.serving.observations import Array
from rl_app.serving.refusal import Refusal


class Answers:
    """Answers questions with the policy.

    Args:
        reader: reads what questions leave to be read.
        rng: draws the sampled actions.
        observe: is told the rows of each run of the network.
        under_way: how many requests the server has begun and not answered, of which each may be about to ask; more
            than there are costs one turn of the loop, and nothing else.
    """

    def __init__(
        self,
        policy: Policy,
        reader: Reader,
        rng: np.random.Generator,
        observe: Callable[[int], None],
        under_way: Callable[[], int],
    ) -> None:
        self._policy = policy
        self._reader = reader
        self._rng = rng
        self._observe = observe
        self._under_way = under_way
        self._waiting: List[Tuple[Question, asyncio.Future[Outputs]]] = []
        self._loop: Optional[asyncio.AbstractEventLoop] = None

    def ask(self, question: Question) -> asyncio.Future[Outputs]:
        """The answer, or the answer to come, together with those to whatever else is asked in this turn of the loop."""
        loop = self._loop
        if loop is None:  # asking for it is a system call
            loop = self._loop = asyncio.get_running_loop()
        future: asyncio.Future[Outputs] = loop.create_future()
        self._waiting.append((question, future))
        if len(self._waiting) >= self._under_way():
            self._answer_waiting()
        elif len(self._waiting) == 1:
            loop.call_soon(self._answer_waiting)
        return future

    def answer(self, questions: Sequence[Question]) -> List[Union[Outputs, Refusal]]:
        """One answer a question, each with the batch first, by one run of the network; refusals go by themselves."""
        flat = self._reader.read_together(questions)
        if flat is not None:
            return [*self._run(questions, flat)]
        read = [self._read(question) for question in questions]
        fine = [each for each in read if isinstance(each, Question)]
        answers = iter(self._run(fine, joined([question.flat for question in fine])) if fine else ())
        return [next(answers) if isinstance(each, Question) else each for each in read]

    def _read(self, question: Question) -> Union[Question, Refusal]:
        try:
            return self._reader.read(question)
        except Refusal as refusal:
            return refusal

    def _run(self, questions: Sequence[Question], flat: Array) -> List[Outputs]:
        self._observe(len(flat))
        outputs = self._policy.act(flat, self._states(questions), previous=self._previous(questions))
        bounded = self._policy.bounded(outputs)
        return [
            part(bounded, where) if question.deterministic else self._sampled(part(outputs, where))
            for question, where in zip(questions, places(questions))
        ]

    def _answer_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:  # the last of them to ask did not wait for this call
            return
        try:
            answers = self.answer([question for question, _ in waiting])
        except Exception as error:  # each of them is told, and the server goes on
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(waiting, answers):
            if future.done():  # whoever asked is gone
                continue
            if isinstance(answer, Refusal):
                future.set_exception(answer)
            else:
                future.set_result(answer)

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
        previous = {}
        for name in dict.fromkeys(name for question in questions for name in question.previous):
            given = self._policy.inputs[name]
            previous[name] = np.concatenate(
                [
                    question.previous.get(name, np.zeros((len(question.flat), *(given.shape or ())), given.dtype))
                    for question in questions
                ]
            )
        return previous


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
