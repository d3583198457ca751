"""Which questions share one run of the network, and that none of them waits for more than two turns of the loop."""

from __future__ import annotations

import asyncio
from typing import Any, Awaitable, Callable, List, Set

import numpy as np
import orjson
import pytest

from rl_app.policy.policy import Policy
from rl_app.serving.batching import Batcher
from rl_app.serving.queries import Reader
from tests.app.made_models import write_model

VECTOR = [0.1, -0.2, 0.3, 0.4]
ANSWERED_S = 10.0


class Asked:
    """The policy's answers, the requests under way, and the rows of each run of the network."""

    def __init__(self, policy: Policy) -> None:
        self.under_way: Set[int] = set()
        self.runs: List[int] = []
        self._batcher = Batcher(policy, Reader(policy), np.random.default_rng(0), self.runs.append, self.under_way)

    def begin(self, *requests: int) -> None:
        self.under_way.update(requests)

    def ask(self) -> asyncio.Future[bytes]:
        return self._batcher.ask_vector(list(VECTOR))


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return Policy.load(write_model(tmp_path_factory.mktemp("batching") / "model"))


def within_a_loop(play: Callable[[Asked], Awaitable[Any]], policy: Policy) -> Asked:
    async def played() -> Asked:
        asked = Asked(policy)
        await asyncio.wait_for(play(asked), ANSWERED_S)
        return asked

    return asyncio.run(played())


def test_a_lone_question_is_answered_at_once(policy: Policy) -> None:
    async def play(asked: Asked) -> None:
        asked.begin(1)
        assert asked.ask().done()

    assert within_a_loop(play, policy).runs == [1]


def test_the_last_of_those_under_way_to_ask_waits_for_nobody(policy: Policy) -> None:
    async def play(asked: Asked) -> None:
        asked.begin(1, 2, 3)
        first, second = asked.ask(), asked.ask()
        assert not first.done()
        assert asked.ask().done()
        assert first.done() and second.done()

    assert within_a_loop(play, policy).runs == [3]


def test_what_is_asked_in_the_next_turn_shares_the_run(policy: Policy) -> None:
    async def play(asked: Asked) -> None:
        asked.begin(1, 2, 3)
        first = asked.ask()
        await asyncio.sleep(0)
        second = asked.ask()
        assert await first == await second
        assert orjson.loads(await first)["outputs"]["actions_0"] in ([0], [1])

    assert within_a_loop(play, policy).runs == [2]


def test_a_batch_is_not_cut_short_by_the_one_before_it(policy: Policy) -> None:
    async def play(asked: Asked) -> None:
        asked.begin(1, 2)
        asked.ask(), asked.ask()
        asked.begin(3, 4)
        third = asked.ask()
        await asyncio.sleep(0)
        fourth = asked.ask()
        await asyncio.gather(third, fourth)

    assert within_a_loop(play, policy).runs == [2, 2]


def test_requests_that_never_ask_hold_nobody_up(policy: Policy) -> None:
    async def play(asked: Asked) -> None:
        asked.begin(*range(100))
        answer = asked.ask()
        for _ in range(3):
            await asyncio.sleep(0)
        assert answer.done()

    assert within_a_loop(play, policy).runs == [1]
