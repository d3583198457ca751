"""The page that a person sees at ``/``: what policy this is, and a form that asks it."""

from __future__ import annotations

import html
import json
from pathlib import Path

from rl_app.policies import Policy
from rl_app.serving.openapi import example

PAGE = Path(__file__).with_name("page.html")


def render(policy: Policy) -> bytes:
    """The page for this policy: one file that asks no other host."""
    facts = {key: value for key, value in policy.facts.items() if key != "observation_filter"}
    data = {**facts, "engine": policy.engine, "example": example(policy.observation_space)}
    # no `</script>` or `<!--` inside a script
    embedded = json.dumps(data, default=str).replace("<", "\\u003c")
    title = html.escape(f"{facts['algorithm']} on {facts.get('env', '')}")
    return PAGE.read_text(encoding="utf-8").replace("{{title}}", title).replace("{{data}}", embedded).encode()
