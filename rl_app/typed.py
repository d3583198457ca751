"""The types of what a JSON file holds, checked: each check names the key, what it must be and what it is."""

from __future__ import annotations

import json
import math
from typing import Any, Callable, Dict, Mapping, Optional

from rl_app.errors import UserError

Check = Callable[[Any, str], None]
"""Raises Mismatch for a value, under its key, that is not of a type."""


class Mismatch(ValueError):  # noqa: N818  # of a value and its type
    """What a value must be; one line."""


def parse(text: bytes, file: str) -> Any:
    """Parse JSON; raises UserError, which names the file, for what is none or nested too deep to be read."""
    try:
        return json.loads(text)
    except RecursionError:
        raise UserError(f"{file}: cannot be read: nested too deep") from None
    except ValueError as error:
        raise UserError(f"{file}: cannot be read: no JSON: {error}") from None


def expected(what: str, value: Any, key: str) -> Mismatch:
    """Make the line about a value that is something else."""
    said = json.dumps(value, default=str)
    return Mismatch(f"{key}: must be {what}, and is {said if len(said) < 60 else said[:57] + '...'}")


def of(what: str, fits: Callable[[Any], bool]) -> Check:
    """Make the check that a value fits; ``what`` says in which case it does."""

    def check(value: Any, key: str) -> None:
        if not fits(value):
            raise expected(what, value, key)

    return check


def is_integer(value: Any) -> bool:
    """Tell whether it is an integer; JSON's true and false are none."""
    return type(value) is int


def is_number(value: Any) -> bool:
    """Tell whether it is a finite number."""
    return is_integer(value) or (type(value) is float and math.isfinite(value))


TEXT = of("a text", lambda value: isinstance(value, str))
FLAG = of("true or false", lambda value: isinstance(value, bool))
NUMBER = of("a number", is_number)
INTEGER = of("an integer", is_integer)
COUNT = of("an integer from 0", lambda value: is_integer(value) and value >= 0)
POSITIVE = of("an integer from 1", lambda value: is_integer(value) and value >= 1)
OBJECT = of("an object", lambda value: isinstance(value, dict))


def optional(check: Check) -> Check:
    """Make the check that lets null pass."""
    return lambda value, key: None if value is None else check(value, key)


def list_of(check: Check, length: Optional[int] = None) -> Check:
    """Make the check of a list, and of each of its items."""

    def check_all(value: Any, key: str) -> None:
        if not isinstance(value, list):
            raise expected("a list", value, key)
        if length is not None and len(value) != length:
            raise Mismatch(f"{key}: must hold {length} values, and holds {len(value)}")
        for index, item in enumerate(value):
            check(item, f"{key}[{index}]")

    return check_all


def object_of(known: Mapping[str, Check], required: Optional[Mapping[str, Check]] = None) -> Check:
    """Make the check of an object that may have the ``known`` keys and must have the ``required``; others may be."""
    checks: Dict[str, Check] = {**known, **(required or {})}

    def check_keys(value: Any, key: str) -> None:
        OBJECT(value, key)
        inside = f"{key}." if key else ""
        for name in required or ():
            if name not in value:
                raise Mismatch(f"{inside}{name}: must be there, and is missing")
        for name, check in checks.items():
            if name in value:
                check(value[name], f"{inside}{name}")

    return check_keys


def values_of(check: Check) -> Check:
    """Make the check of an object with any keys."""

    def check_values(value: Any, key: str) -> None:
        OBJECT(value, key)
        for name, item in value.items():
            check(item, f"{key}.{name[:40]}")

    return check_values
