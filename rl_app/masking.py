"""Values that may be secrets, by the names of their keys: not shown to people, and not written where others read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping  # which tells what is one in half of the time that typing's takes
from functools import lru_cache
from typing import Any, Iterator

MASK = "***"
SECRET = {"password", "passwd", "secret", "secrets", "token", "apikey", "credential", "credentials"}
SECRET_PAIRS = {("api", "key"), ("access", "key"), ("private", "key")}


def is_secret(key: object) -> bool:
    """Return whether a key's words, as in ``api_key`` or ``apiKey``, name a secret; `max_tokens` does not."""
    return _names_secret(str(key))


@lru_cache(maxsize=1000)  # each result that is logged has RLlib's config, with a hundred keys
def _names_secret(key: str) -> bool:
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", key)]
    return not SECRET.isdisjoint(words) or not SECRET_PAIRS.isdisjoint(zip(words, words[1:]))


def masked(value: Any) -> Any:
    """Return the value with a mask for all that a key in it names a secret; what has none stays as it is."""
    if isinstance(value, Mapping):
        return {key: MASK if is_secret(key) else masked(item) for key, item in value.items()}
    return type(value)(map(masked, value)) if type(value) in (list, tuple) else value


def masked_text(key: str, text: str) -> str:
    """Return a hyperparameter's text with a mask for what is secret by its own name, or by one within its JSON."""
    if is_secret(key):
        return MASK
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    shown = masked(value)
    return text if shown == value else json.dumps(shown)


def masked_word(word: str) -> str:
    """Return a word ``KEY=VALUE`` with its value masked; any other word as it is."""
    key, equals, text = word.partition("=")
    return f"{key}={masked_text(key, text)}" if equals else word


def masks(value: Any) -> Iterator[str]:
    """Find the keys whose value is a mask."""
    items = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    )
    for key, item in items:
        if item == MASK:
            yield str(key)
        yield from masks(item)
