"""The page that a person sees at ``/``: what policy this is, and a form that asks it.

The card is HTML written here, every value escaped; the form and the answers are made by ``page.js`` from data in the
page. By its content security policy the page asks no other host, and runs no other script.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from rl_app.policy.loading import Input
from rl_app.policy.policy import Policy
from rl_app.reports.html import STYLE, UNKNOWN, content_security_policy, embedded, number, text
from rl_app.serving.arrays import bounds
from rl_app.serving.openapi import parts
from rl_app.spaces.description import Space, shape_of, start_of

# Where a Box has a larger bound, its author meant that there is none
NO_BOUND = 1e30
# Numbers of a Box up to which each is told its own bounds
MOST_BOUNDS = 8


class Page(NamedTuple):
    """The page, and the value of its ``Content-Security-Policy`` header."""

    html: bytes
    security: str


def render(policy: Policy, name: Optional[str] = None, others: Sequence[str] = ()) -> Page:
    """Make the page for this policy: one file that asks no other host.

    Args:
        name: the policy's, where it is one of several.
        others: their names, each of which has a page.
    """
    script, style = asset("page.js"), STYLE.read_text(encoding="utf-8") + asset("page.css")
    facts = policy.facts
    html = Template(asset("page.html")).substitute(
        title=escape(f"{facts['algorithm']} on {facts.get('env', 'an environment')}"),
        what=escape(f"{called(name)}, answered by {policy.engine}. Ask it below, or by POST /invocations.")
        + "".join(f' <a href="{path(each)[1:]}">{escape(each)}</a>' for each in others),
        tiles="".join(tile(*each) for each in tiles(facts)),
        card=definitions(card(policy)),
        versions=definitions(facts.get("versions", {})),
        observation=words(policy.observation_space),
        action=words(policy.action_space),
        data=embedded({**data(policy), "policy": name}),
        script=script,
        style=style,
    )
    security = content_security_policy(script, style, "connect-src 'self'", "frame-ancestors 'none'")
    return Page(html.encode(), security)


def path(name: str) -> str:
    """Return where the page of a policy of several is, from which the links to other paths lead on."""
    return f"/policy-{name}"


def called(name: Optional[str]) -> str:
    """Name the policy of a page."""
    return "A trained policy" if name is None else f"The policy {name}, of several that were trained together"


def asset(name: str) -> str:
    """Read a file of this package."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


# ---- the card


def tile(name: str, value: str, note: str) -> str:
    """Return what is to be seen at first sight."""
    return f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(note)}</small></dd></div>"


def definitions(values: Mapping[str, Any]) -> str:
    """Name and their values."""
    pairs = (f"<div><dt>{escape(str(key))}</dt><dd>{escape(text(value))}</dd></div>" for key, value in values.items())
    return f"<dl>{''.join(pairs)}</dl>"


def tiles(facts: Mapping[str, Any]) -> List[Tuple[str, str, str]]:
    """List what is to be seen at first sight: (name, value, note)."""
    training = facts.get("training", {})
    low, high = training.get("episode_reward_min"), training.get("episode_reward_max")
    span = "mean of episodes" if low is None else f"episodes {number(low)} to {number(high)}"
    seconds, steps = training.get("time_total_s"), training.get("timesteps_total")
    return [
        ("reward in training", number(training.get("episode_reward_mean")), span),
        ("iteration", number(training.get("training_iteration")), "that was exported"),
        ("env steps", number(steps), "trained on"),
        ("trained for", UNKNOWN if seconds is None else f"{seconds:,.0f} s", "up to that iteration"),
    ]


def card(policy: Policy) -> Dict[str, Any]:
    """Put the facts of the policy in words."""
    facts = policy.facts
    memory = f"{' and '.join(map(str, policy.state_sizes))} numbers" if policy.state_sizes else "none"
    return {
        "algorithm": facts["algorithm"],
        "environment": facts.get("env"),
        "experiment": facts.get("training", {}).get("experiment"),
        "seed": facts.get("seed"),
        "engine": policy.engine,
        "memory": memory,
        "observation filter": "mean and deviation" if facts["observation_filter"] else "none",
        "actions drawn from": facts["action_distribution"],
        "actions clipped": "to their space" if facts["clip_actions"] else "not",
    }


def words(space: Space) -> str:
    """Put a space as HTML that a person reads."""
    kind = space["type"]
    if kind == "Dict":
        return listed("all of", [(key, words(part)) for key, part in space["spaces"].items()])
    if kind == "Tuple":
        return listed("in this order", [(str(i), words(part)) for i, part in enumerate(space["spaces"])])
    return escape(in_words(space))


def listed(head: str, pairs: Sequence[Tuple[str, str]]) -> str:
    """Put named parts one below the other."""
    items = "".join(f"<li><b>{escape(name)}</b>: {text}</li>" for name, text in pairs)
    return f"{head}<ul>{items}</ul>"


def in_words(space: Space) -> str:
    """Put a space that has no parts in words."""
    kind = space["type"]
    if kind == "Discrete":
        return f"one of {space['n']}: {start_of(space)} to {start_of(space) + space['n'] - 1}"
    shape = shape_of(space)
    if kind == "MultiDiscrete":
        return f"{' by '.join(map(str, shape))} integers, {in_bounds(compact(space))}"
    if kind == "MultiBinary":
        return f"{' by '.join(map(str, shape))} times 0 or 1"
    many = "a number" if not shape else f"{' by '.join(map(str, shape))} numbers"
    return f"{many} ({space['dtype']}), {in_bounds(compact(space))}"


def in_bounds(box: Space) -> str:
    """Put the bounds of a Box in words, as :func:`compact` gives it."""
    low, high = box["low"], box["high"]
    if not isinstance(low, list):
        return interval(low, high)
    if len(low) > MOST_BOUNDS:
        return "each within its own bounds"
    return "; ".join(interval(*each) for each in zip(low, high))


def interval(low: Optional[float], high: Optional[float]) -> str:
    """Say what a number may be."""
    if low is None:
        return "any" if high is None else f"up to {high:.4g}"
    return f"from {low:.4g}" if high is None else f"{low:.4g} to {high:.4g}"


# ---- what the form is made from


def data(policy: Policy) -> Dict[str, Any]:
    """Give what ``page.js`` needs to know."""
    looking_back = {name: box(policy.inputs[name]) for name in ("prev_action", "prev_reward") if name in policy.inputs}
    return {
        "observation": compact(policy.observation_space),
        "actions": [compact(part) for part in parts(policy.action_space)],
        "distribution": policy.facts["action_distribution"],
        "unsampled": policy.unsampled,
        "states": len(policy.state_sizes),
        "previous": looking_back,
    }


def compact(space: Space) -> Dict[str, Any]:
    """Give a space as the form needs it: with its shape, and one pair of bounds where all numbers have the same."""
    kind = space["type"]
    if kind == "Dict":
        return {"type": kind, "spaces": {key: compact(part) for key, part in space["spaces"].items()}}
    if kind == "Tuple":
        return {"type": kind, "spaces": [compact(part) for part in space["spaces"]]}
    low, high = limits(space)
    if len({*zip(low, high)}) == 1:
        return {**space, "shape": shape_of(space), "low": low[0], "high": high[0]}
    return {**space, "shape": shape_of(space), "low": low, "high": high}


def limits(space: Space) -> Iterator[List[Optional[float]]]:
    """Give the smallest and the largest of each number, None where there is no bound."""
    if space["type"] == "Box":
        return ([bound(value) for value in space[side]] for side in ("low", "high"))
    return (np.broadcast_to(each, shape_of(space)).ravel().tolist() for each in bounds(space))


def bound(value: Optional[float]) -> Optional[float]:
    """Give the bound, None where it is no bound to speak of."""
    return None if value is None or abs(value) > NO_BOUND else value


def box(given: Input) -> Dict[str, Any]:
    """Give an input of the network as a space of the form."""
    return {"type": "Box", "shape": given.shape or (), "dtype": np.dtype(given.dtype).name, "low": None, "high": None}
