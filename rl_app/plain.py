"""Values of a user's experiment, which may be any object of Python, as data: for checks, for files, for people."""

from __future__ import annotations

import ast
from collections.abc import Mapping  # which tells what is one in half of the time that typing's takes
from contextlib import suppress
from pathlib import PurePath
from typing import Any, Dict, Iterator, List, Optional

_LEFT_OUT = object()


def numbers(value: Any) -> Any:
    """Make NumPy's numbers Python's, in whatever mappings and lists they are; all else stays as it is.

    So does a Dict space of Gym's, which is a mapping too.
    """
    if isinstance(value, Mapping) and not hasattr(value, "sample"):
        return {key: numbers(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(numbers(item) for item in value)
    return value.item() if _is_scalar(value) else value


def keyed(value: Any) -> Any:
    """Make the keys of the value's mappings text, all the way down; all else stays as it is."""
    return {_key(key): keyed(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def data(value: Any) -> Any:
    """Return what JSON can hold of the value: arrays, tuples and sets as lists, paths as text; the rest is left out."""
    held = _data(value)
    return None if held is _LEFT_OUT else held


def shown(value: Any) -> Any:
    """Make of the value what JSON can hold, for people: all but numbers, text, mappings and lists by its ``repr``."""
    if isinstance(value, Mapping):
        return {_key(key): shown(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    if _is_scalar(value):
        return value.item()
    return value if _is_json(value) else repr(value)


def literal(value: Any) -> Optional[str]:
    """Return the value as Python writes it, where JSON would hold another: tuples, sets, keys that are no text.

    None where JSON holds it as it is, or where it is no constant. What is no constant inside is as :func:`data` has it.
    """
    constants = _constants(value)
    with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        if constants != data(value) and ast.literal_eval(repr(constants)) == constants:
            return repr(constants)
    return None


def from_literal(text: str) -> Any:
    """Return the value of :func:`literal`'s text, in which nothing can run; raises ValueError where it is none."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise ValueError("no constant of Python") from None


def changed(value: Any, path: str) -> Iterator[str]:
    """Yield the places in what is below ``path`` that neither JSON nor :func:`literal` holds as they are."""
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from changed(item, f"{path}.{key}")
    elif not _is_json(value) and not _is_scalar(value):
        yield path


def _constants(value: Any) -> Any:
    if isinstance(value, Mapping):
        items = ((key, _constants(item)) for key, item in value.items())
        return {key: item for key, item in items if item is not _LEFT_OUT}
    if type(value) in (list, tuple, set, frozenset):
        held: List[Any] = [_constants(item) for item in value]
        if _LEFT_OUT in held:
            return _LEFT_OUT
        return set(held) if isinstance(value, frozenset) else type(value)(held)
    return _data(value)


def _data(value: Any) -> Any:
    if isinstance(value, Mapping):
        held: Dict[str, Any] = {_key(key): _data(item) for key, item in value.items()}
        return {key: item for key, item in held.items() if item is not _LEFT_OUT}
    if isinstance(value, (list, tuple)):
        return _list(list(value))
    if isinstance(value, (set, frozenset)):
        return _list(sorted(value, key=repr))
    if isinstance(value, PurePath):
        return str(value)
    if _is_numpy(value):
        return _data(value.tolist())
    return value if _is_json(value) else _LEFT_OUT


def _list(values: List[Any]) -> Any:
    """Return a list that lacks some of its values would mean something else, so it is left out as a whole."""
    held = [_data(item) for item in values]
    return _LEFT_OUT if _LEFT_OUT in held else held


def _key(key: Any) -> str:
    return key if isinstance(key, str) else str(key)


def _is_json(value: Any) -> bool:
    return value is None or type(value) in (bool, int, float, str)


def _is_numpy(value: Any) -> bool:
    """NumPy itself is not imported: whoever has such a value has done that."""
    return type(value).__module__ == "numpy" and hasattr(value, "tolist")


def _is_scalar(value: Any) -> bool:
    return _is_numpy(value) and getattr(value, "ndim", None) == 0 and not isinstance(value.item(), bytes)
