"""What a rule of settings is, and how one that is broken is told."""

from __future__ import annotations

from typing import Any, Callable, Iterator, Mapping, NamedTuple, Sequence

# Every value of a job by its short name (``seed``, ``run``, ``stop.time_total_s``, ``config.lr``), with the
# algorithm's defaults; where the machine is known, ``machine.cpus`` and ``machine.gpus`` besides.
Values = Mapping[str, Any]


class Rule(NamedTuple):
    """What must hold for each of ``names`` that the job has and that is not None, and how to say it.

    ``allowed`` quotes other values as ``%(config.train_batch_size)s``.
    """

    names: str
    holds: Callable[[Any, Values], bool]
    allowed: str


class Breach(NamedTuple):
    name: str
    allowed: str


def breaches(rules: Sequence[Rule], values: Values) -> Iterator[Breach]:
    for rule in rules:
        for name in rule.names.split():
            value = values.get(name)
            if value is not None and not _holds(rule, value, values):
                yield Breach(name, rule.allowed % values)


def _holds(rule: Rule, value: Any, values: Values) -> bool:
    try:
        return rule.holds(value, values)
    except TypeError:  # the types of an open dict are the user's
        return False


def schedule(points: Any, _: Values) -> bool:
    """Tell whether a value is a schedule as RLlib takes it, whose own assertion says nothing.

    Before a schedule's first point RLlib 0.8.5 has the value of its last one, so the first has to be at 0.
    """
    pairs = isinstance(points, (list, tuple)) and all(isinstance(point, (list, tuple)) for point in points)
    if not (points and pairs and all(len(point) == 2 and all(map(number, point)) for point in points)):
        return False
    times = [point[0] for point in points]
    return times == sorted(times) and times[0] <= 0


def number(value: Any) -> bool:
    """Tell whether a value is a number; of Python's, true and false are, too."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


SCHEDULE = "a list of [timesteps, value] in the order of time, from 0 on, such as [[0, 0.001], [100000, 0.0001]]"
SCHEDULES = (
    Rule("config.lr_schedule", schedule, f"must be {SCHEDULE}"),
    Rule(
        "config.entropy_coeff_schedule",
        lambda points, values: number(points) or schedule(points, values),
        f"must be {SCHEDULE}, or the timesteps in which it falls to 0",
    ),
)


def config(names: str) -> str:
    return " ".join(f"config.{name}" for name in names.split())


def at_least(least: int, names: str) -> Rule:
    return Rule(names, lambda value, _: bool(value >= least), f"must be {least} or more")


def one_of(choices: str, names: str) -> Rule:
    known = choices.split()
    return Rule(names, lambda value, _: value in known, f"must be one of {', '.join(known)}")


def only(value: Any, names: str, reason: str) -> Rule:
    return Rule(names, lambda given, _: bool(given == value), reason)


def renamed(old: str, new: str) -> Rule:
    # -1 is Ray's "not given"; an algorithm without the new name still means the old one
    root = f"config.{new.split('.')[0]}"
    return Rule(f"config.{old}", lambda value, values: value == -1 or root not in values, f"now called config.{new}")


def is_code(value: Any, _: Values) -> bool:
    """Tell whether a value is Python code, or what RLlib still takes of older callbacks: functions by the event."""
    return callable(value) or (isinstance(value, Mapping) and all(map(callable, value.values())))
