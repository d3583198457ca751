"""The page for a person: what policy this is, a form that asks it, and the curl line for the same."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any, Dict, Mapping

import orjson

from rl_app.policies import Policy
from rl_app.serving.http import Response
from rl_app.serving.schema import words

TEMPLATE = Path(__file__).with_name("page.html")
PLACE = "/*policy*/null"


def pages(policy: Policy, document: Mapping[str, Any]) -> Dict[str, Response]:
    """The answers that never change, by path: the page and the OpenAPI document."""
    return {
        "/": _page(card(policy)),
        "/openapi.json": Response(200, orjson.dumps(document)),
    }


def card(policy: Policy) -> Dict[str, Any]:
    """What the page shows and makes its form of."""
    facts = policy.facts
    return {
        "algorithm": facts["algorithm"],
        "env": facts.get("env"),
        "training": facts.get("training") or {},
        "versions": facts.get("versions") or {},
        "engine": policy.engine,
        "seed": facts.get("seed"),
        "filter": "mean and standard deviation" if facts["observation_filter"] else "none",
        "distribution": facts["action_distribution"],
        "unsampled": policy.unsampled,
        "state_sizes": policy.state_sizes,
        "observation_space": facts["observation_space"],
        "observation": words(facts["observation_space"]),
        "action": words(facts["action_space"]),
        "action_space": facts["action_space"],
    }


def _page(shown: Mapping[str, Any]) -> Response:
    """The page, whose own script and style are all that a browser may run: names in a model are text, not code."""
    data = json.dumps(shown).replace("<", "\\u003c")
    html = TEMPLATE.read_text(encoding="utf-8").replace(PLACE, data)
    allowed = " ".join(f"{kind}-src {_hash(html, tag)};" for kind, tag in (("script", "script"), ("style", "style")))
    policy = f"default-src 'none'; connect-src 'self'; {allowed} base-uri 'none'; form-action 'none'"
    return Response(200, html.encode(), "text/html; charset=utf-8", headers=(("content-security-policy", policy),))


def _hash(html: str, tag: str) -> str:
    inside = re.search(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    assert inside is not None
    return f"'sha256-{base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode()}'"
