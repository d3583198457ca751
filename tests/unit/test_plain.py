"""Values that JSON does not know: numbers of NumPy are numbers, and what is no data is shown or left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_app import plain


class Callbacks:
    pass


def double(x: float) -> float:
    return 2 * x


CASES = [
    # given, what JSON holds of it, what a person reads
    (np.float32(0.5), 0.5, 0.5),
    (np.int64(7), 7, 7),
    (np.bool_(True), True, True),
    (np.array(3), 3, 3),
    (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]], "array([[1, 2],\n       [3, 4]])"),
    ((1, np.float64(2.0)), [1, 2.0], [1, 2.0]),
    ({3, 1, 2}, [1, 2, 3], "{1, 2, 3}"),
    (Path("/data/levels"), "/data/levels", "PosixPath('/data/levels')"),
    ({1: {"a": None}}, {"1": {"a": None}}, {"1": {"a": None}}),
    (Callbacks, None, repr(Callbacks)),
    (double, None, repr(double)),
    ({"callbacks": Callbacks, "lr": 0.1}, {"lr": 0.1}, {"callbacks": repr(Callbacks), "lr": 0.1}),
    ({"schedule": [[0, double]]}, {}, {"schedule": [[0, repr(double)]]}),
    (1j, None, "1j"),
]


@pytest.mark.parametrize(("given", "held", "read"), CASES, ids=range(len(CASES)))
def test_any_value_has_a_form_that_json_takes(given: Any, held: Any, read: Any) -> None:
    assert plain.data(given) == held
    assert plain.shown(given) == read
    assert json.loads(json.dumps(plain.data(given))) == held
    assert json.loads(json.dumps(plain.shown(given))) == read


@pytest.mark.parametrize(
    "given",
    [
        {"start": (1, 2), "rewards": {0: -1.0, (4, 4): 1.0}, "walls": {(0, 1), (2, 3)}, "name": None},
        {"free": frozenset([1, 2]), "list": [(True, "text"), [{"deep": (0.5,)}]]},
    ],
)
def test_constants_that_json_does_not_hold_are_written_as_python_writes_them(given: Any) -> None:
    text = plain.literal(given)
    assert text is not None and plain.from_literal(text) == given
    assert list(plain.changed(given, "env_config")) == []


@pytest.mark.parametrize(
    "given", [{}, {"size": 5, "doors": [1, {"at": None}]}, {"size": np.int64(5)}, {"end": (np.inf,)}]
)
def test_what_json_holds_has_no_other_text(given: Any) -> None:
    assert plain.literal(given) is None
    assert list(plain.changed(given, "env_config")) == []


def test_what_is_no_constant_is_found_and_the_rest_is_kept() -> None:
    given = {"start": (1, 2), "scale": np.ones(2), "engine": [Callbacks], "at": {"path": Path("/data")}}
    assert plain.from_literal(plain.literal(given) or "") == {"start": (1, 2), "scale": [1, 1], "at": {"path": "/data"}}
    assert list(plain.changed(given, "env")) == ["env.scale", "env.engine.0", "env.at.path"]


@pytest.mark.parametrize("text", ["__import__('os').getcwd()", "(", "x", "[" * 10_000])
def test_a_text_that_is_no_constant_is_refused_and_never_run(text: str) -> None:
    with pytest.raises(ValueError, match="no constant of Python"):
        plain.from_literal(text)


def test_numbers_of_numpy_become_pythons_and_all_else_stays() -> None:
    array = np.zeros(2)
    made = plain.numbers({"lr": np.float32(0.25), "list": [np.int32(1)], "tuple": (np.bool_(False),), "array": array})
    assert made == {"lr": 0.25, "list": [1], "tuple": (False,), "array": array}
    assert [type(made["lr"]), type(made["list"][0]), type(made["tuple"][0])] == [float, int, bool]
    assert plain.numbers(Callbacks) is Callbacks
