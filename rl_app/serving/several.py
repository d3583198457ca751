"""The application for a model with several policies: a request names one, or gives its observations by agent."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

import orjson

from rl_app.job.agents import policy_of
from rl_app.policy.loading import Outputs
from rl_app.policy.policies import Policies
from rl_app.policy.policy import Policy
from rl_app.serving import openapi_several, page
from rl_app.serving.access_log import AccessLog
from rl_app.serving.app import HUGE_BODY, LARGE_BODY, Answer, App, Request, warm
from rl_app.serving.arrays import kind_of
from rl_app.serving.batching import Batcher
from rl_app.serving.limits import BodyLimit
from rl_app.serving.media_types.json import JSON, load
from rl_app.serving.metrics import Metrics
from rl_app.serving.negotiation import Media, negotiate
from rl_app.serving.outputs import are_finite
from rl_app.serving.queries import SIGNATURE, Query, Reader
from rl_app.serving.refusal import Refusal, bad
from rl_app.serving.slices import give_back_memory

ATTRIBUTES = openapi_several.HEADER.lower().encode()
FIELD = "policy"
COMMON = ("deterministic", "signature_name")
"""Fields of a request by agent that are the same for all."""


class Desk(NamedTuple):
    """One policy, and what reads and answers the queries to it."""

    policy: Policy
    reader: Reader
    batcher: Batcher


class Asked(NamedTuple):
    """What a request asks: a query to one policy, or one for each of the agents, by their names."""

    parts: List[Tuple[Desk, Query]]
    agents: Optional[List[str]] = None


class AgentsApp(App):
    """Answers for several policies."""

    def __init__(
        self, policies: Policies, desks: Mapping[str, Desk], log: AccessLog, metrics: Metrics, limit: BodyLimit
    ) -> None:
        self._policies, self._desks = policies, desks
        super().__init__(*next(iter(desks.values())), log, metrics, limit)
        for name in desks:
            self.routes[page.path(name)] = ("GET", partial(self._page_of, name))

    def document(self) -> Mapping[str, Any]:
        return openapi_several.document(self._policies)

    async def ping(self, _: Request) -> Answer:
        for desk in self._desks.values():
            warm(desk.policy)
        return Answer(200, "text/plain", b"")

    async def page(self, request: Request) -> Answer:
        return await self._page_of(next(iter(self._desks)), request)

    async def _page_of(self, name: str, _: Request) -> Answer:
        html, security = page.render(self._desks[name].policy, name, list(self._desks))
        return Answer(200, "text/html; charset=utf-8", html, [(b"content-security-policy", security.encode())])

    async def invocations(self, request: Request) -> Answer:
        media, named = negotiate(request.headers), attribute(request.headers.get(ATTRIBUTES, b""))
        if len(request.body) >= LARGE_BODY:
            workers = self._one_by_one if len(request.body) >= HUGE_BODY else None
            return await asyncio.get_running_loop().run_in_executor(
                workers, self._at_once_for, media, request.body, named
            )
        asked = self._read(media, request.body, named)
        return answered(media, asked, await asyncio.gather(*(desk.batcher.ask(query) for desk, query in asked.parts)))

    def _at_once_for(self, media: Media, body: bytes, named: Optional[str]) -> Answer:
        try:
            asked = self._read(media, body, named)
            return answered(media, asked, [desk.batcher.answer([query])[0] for desk, query in asked.parts])
        finally:
            if len(body) >= HUGE_BODY:
                give_back_memory()

    def _read(self, media: Media, body: bytes, named: Optional[str]) -> Asked:
        if media.request is not JSON:
            desk = self._desk(named)
            return Asked([(desk, media.request.decode(desk.reader, body))])
        given = load(body, "body")
        if isinstance(given, dict) and FIELD in given:
            named = self._same(given.pop(FIELD), named)
        if named is None and isinstance(given, dict) and self._is_by_agent(given.get("observations")):
            if media.answer is not JSON:
                raise Refusal(406, f"Accept: actions by agent are answered in {JSON.name} alone")
            return self._by_agent(given)
        desk = self._desk(named)
        return Asked([(desk, desk.reader.query(given))])

    def _is_by_agent(self, observations: Any) -> bool:
        """Tell whether an object has observations by agent; an only policy's observation may be an object itself."""
        if not isinstance(observations, dict):
            return False
        space = next(iter(self._desks.values())).policy.observation_space
        return len(self._desks) > 1 or space["type"] != "Dict" or set(observations) != set(space["spaces"])

    def _same(self, field: Any, named: Optional[str]) -> str:
        if not isinstance(field, str):
            raise bad(f"{FIELD}: expected the name of a policy, got {kind_of(field)}")
        if named not in (None, field):
            raise bad(f"{FIELD}: is {field} in the body and {named} in the header; give one of them")
        return field

    def _desk(self, named: Optional[str]) -> Desk:
        """Find the policy that is asked; the only one need not be named."""
        known = ", ".join(self._desks)
        if named is None and len(self._desks) == 1:
            return next(iter(self._desks.values()))
        if named is None:
            header = f"{openapi_several.HEADER}: policy=NAME"
            raise bad(
                f"{FIELD}: is missing; the model has {known}: name one by the field {FIELD} or the header {header}, "
                "or give the observations as an object by agent"
            )
        if named not in self._desks:
            raise bad(f"{FIELD}: {named[:64]} is none of this model's; there are {known}")
        return self._desks[named]

    def _by_agent(self, given: Mapping[str, Any]) -> Asked:
        common = {name: given[name] for name in COMMON if name in given}
        fields = {name: value for name, value in given.items() if name not in (*COMMON, *SIGNATURE)}
        agents = list(fields["observations"])
        if not agents:
            raise bad("observations: is empty; at least one agent is expected")
        for name, values in fields.items():
            check_agents(name, values, agents)
        return Asked([self._part(agent, fields, common) for agent in agents], agents)

    def _part(self, agent: str, fields: Mapping[str, Any], common: Mapping[str, Any]) -> Tuple[Desk, Query]:
        policy = policy_of(agent, self._policies.table)
        if policy is None:
            known = ", ".join(self._policies.table)
            raise bad(f"observations.{agent[:64]}: there is no policy for this agent; there are those for {known}")
        desk = self._desks[policy]
        own: Dict[str, Any] = {name: values[agent] for name, values in fields.items() if agent in values}
        try:
            return desk, desk.reader.query({**own, **common})
        except Refusal as refusal:
            raise bad(f"agent {agent[:64]}: {refusal}") from None


def check_agents(name: str, values: Any, agents: List[str]) -> None:
    """Refuse a field that is not by agent as the observations are."""
    if not isinstance(values, dict):
        raise bad(f"{name[:64]}: expected an object by agent, as the observations are, got {kind_of(values)}")
    for agent in values:
        if agent not in agents:
            raise bad(f"{name[:64]}.{agent[:64]}: there is no observation of this agent")


def answered(media: Media, asked: Asked, found: List[Outputs]) -> Answer:
    """Write the answer: of one policy as ever, of several agents the outputs by agent."""
    if asked.agents is None:
        return Answer(200, media.answer.name, media.answer.body(found[0], asked.parts[0][1].by_row))
    if not all(map(are_finite, found)):
        raise bad("observations: so large that the network's answer is not finite")
    by_agent = dict(zip(asked.agents, found))
    return Answer(200, JSON.name, orjson.dumps({"outputs": by_agent}, option=orjson.OPT_SERIALIZE_NUMPY))


def attribute(header: bytes) -> Optional[str]:
    """Read the policy's name out of the header, which may hold other attributes."""
    for part in re.split(r"[,;\s]+", header.decode("latin-1")):
        key, equals, value = part.partition("=")
        if key.lower() == FIELD and equals:
            return value
    return None
