"""What a request asks: a batch of observations, with the states and what was before, read from what JSON holds."""

from __future__ import annotations

import difflib
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from rl_app.policy.loading import Input
from rl_app.policy.policy import Policy
from rl_app.serving.arrays import kind_of, numbers
from rl_app.serving.observations import Observations
from rl_app.serving.refusal import bad
from rl_app.spaces.description import Array

FORMS = ("observations", "inputs", "instances")
"""The three ways in which JSON gives observations."""
SIGNATURE = ("is_training", "seq_lens")
"""Inputs of Ray's signature that say nothing about one step of a policy that plays: taken, and not read."""
LOOKING_BACK = ("prev_action", "prev_reward")
"""The same where the network does not look back."""
NUMBERS = (float, int)
SERVING_DEFAULT = "serving_default"


class Query(NamedTuple):
    """What a request asks the policy: a step for each row.

    ``flat`` is [batch, observation_size]; each of ``state`` is [batch, size]; ``previous`` holds ``prev_action`` and
    ``prev_reward``, with the batch first, for networks that take them. ``by_row``: the answer is one for each row.
    """

    flat: Array
    state: Sequence[Array] = ()
    previous: Mapping[str, Array] = {}
    deterministic: bool = True
    by_row: bool = False


class Reader:
    """Reads requests for one policy. All methods raise Refusal for what the client can mend.

    Attributes:
        observations: reads observations that come as arrays.
        fields: what may stand beside each other in a request of columns.
    """

    def __init__(self, policy: Policy) -> None:
        self.observations = Observations(policy)
        self._plain_width = self.observations.columns if self.observations.plain else None
        self._state_sizes = policy.state_sizes
        self._looking_back = {name: policy.inputs[name] for name in LOOKING_BACK if name in policy.inputs}
        self._unsampled = policy.unsampled
        states = [f"state_in_{i}" for i in range(len(policy.state_sizes))]
        self._states = states
        self.fields = ("observations", *states, *LOOKING_BACK, *SIGNATURE)

    # ---- the same for most requests, of which many are read at once

    def vector(self, given: Any) -> Optional[List[Any]]:
        """Take the numbers of ``{"observations": …}`` with one plain observation, unchecked; None for the rest."""
        if type(given) is not dict or len(given) != 1 or "observations" not in given:
            return None
        value = given["observations"]
        if type(value) is list and len(value) == 1 and type(value[0]) is list:
            (value,) = value
        fits = type(value) is list and len(value) == self._plain_width and type(value[0]) in NUMBERS
        return value if fits else None

    def vectors(self, vectors: Sequence[List[Any]]) -> Optional[Array]:
        """Read many of them as flat vectors; None where one of them is no observation."""
        return self.observations.vectors(vectors)

    def query_of(self, vector: List[Any]) -> Query:
        """Read one of them alone."""
        return Query(self.observations.from_json([vector]))

    # ---- what JSON holds

    def query(self, given: Any) -> Query:
        """Read a value of JSON."""
        if isinstance(given, list):
            return Query(self.observations.from_json(given, "body"))
        if not isinstance(given, dict):
            raise bad(f"body: expected an object or a list of observations, got {kind_of(given)}")
        forms = [form for form in FORMS if form in given]
        if not forms and given:
            raise bad(unknown(next(iter(given)), FORMS))
        if len(forms) != 1:
            raise bad(f"body: expected one of {', '.join(FORMS)}, got {' and '.join(forms) or 'none of them'}")
        values, common = dict(given), forms[0]
        deterministic = self._deterministic(values.pop("deterministic", True))
        if values.pop("signature_name", SERVING_DEFAULT) != SERVING_DEFAULT:
            raise bad(f'signature_name: expected "{SERVING_DEFAULT}"')
        if common == "observations":
            return self._columns(values, deterministic)
        content = values.pop(common)
        if values:
            raise bad(unknown(next(iter(values)), ("deterministic", common)))
        if common == "inputs":
            return self._columns(content if self._named(content) else {"observations": content}, deterministic)
        return self._instances(content, deterministic)

    def _named(self, content: Any) -> bool:
        """Tell whether an object gives observations under that name, and is no observation of a Dict space itself."""
        if not isinstance(content, dict):
            return False
        space = self.observations.space
        return not (space["type"] == "Dict" and set(content) <= set(space["spaces"]))

    def _columns(self, given: Mapping[str, Any], deterministic: bool, by_row: bool = False) -> Query:
        """Read each input by its name, with the batch first."""
        for name in given:
            if name not in self.fields:
                raise bad(unknown(name, self.fields))
        if "observations" not in given:
            raise bad("observations: is missing")
        flat = self.observations.from_json(given["observations"])
        state = self._state(given, len(flat))
        previous = {
            name: column(given[name], given_as, len(flat), name)
            for name, given_as in self._looking_back.items()
            if name in given
        }
        return Query(flat, state, previous, deterministic, by_row)

    def _instances(self, rows: Any, deterministic: bool) -> Query:
        """Read TensorFlow Serving's rows: an observation each, or an object of inputs each."""
        if not isinstance(rows, list):
            raise bad(f"instances: expected a list, got {kind_of(rows)}")
        if not rows:
            raise bad("instances: the batch is empty; at least one observation is expected")
        if not self._named(rows[0]):
            return Query(self.observations.from_json(rows, "instances"), (), {}, deterministic, True)
        names = list(rows[0])
        for index, row in enumerate(rows):
            if not isinstance(row, dict) or set(row) != set(names):
                raise bad(f"instances[{index}]: expected the same fields in each instance: {', '.join(names)}")
        return self._columns({name: [row[name] for row in rows] for name in names}, deterministic, True)

    def _state(self, given: Mapping[str, Any], rows: int) -> List[Array]:
        there = [name for name in self._states if name in given]
        for name in self._states if there else ():
            if name not in given:
                raise bad(f"{name}: is missing, though {there[0]} is given")
        sizes = zip(self._states, self._state_sizes)
        return [column(given[name], Input(np.float32, (size,)), rows, name) for name, size in sizes] if there else []

    def _deterministic(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise bad(f"deterministic: expected true or false, got {kind_of(value)}")
        if not value and self._unsampled is not None:
            raise bad(f"deterministic: false: {self._unsampled}")
        return value


def column(value: Any, given: Input, rows: int, name: str) -> Array:
    """Read one input with the batch first, a row an observation; one row may come without the batch."""
    shape = given.shape or ()
    array = numbers(value)
    if array is not None and rows == 1 and array.shape == shape:
        array = array[None]
    if array is None or array.shape != (rows, *shape):
        got = "" if array is None else f" got {list(array.shape)}"
        raise bad(f"{name}: expected numbers of the shape {[rows, *shape]},{got or ' got something else'}")
    array = array.astype(given.dtype)
    if not np.isfinite(array).all():
        raise bad(f"{name}: holds a number that is not finite")
    return array


def unknown(name: str, known: Sequence[str]) -> str:
    """Say that there is no such field, and which there are."""
    name = name[:64]  # a client's own, and difflib's time grows with it
    near = difflib.get_close_matches(name, known, 1)
    return f"{name}: unknown field{f'; did you mean {near[0]}?' if near else ''}; known are {', '.join(known)}"
