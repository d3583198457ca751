"""What a row says of the learning itself: entropy, losses, Q values, evaluations during training; by algorithm, what
it has.

Each metric is one value of :data:`METRICS`, from which come its column in metrics.jsonl, its small chart in the
report, its name for `scripts/plot --metric`, and its definition for SageMaker.
"""

from __future__ import annotations

import math
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, TextIO, Tuple

from rl_app.job import agents

CUSTOM = "custom_metrics/"
"""What a column begins with that a user's own callbacks made, as in RLlib's TensorBoard events."""
OF_POLICY = "policy_reward_mean/"
"""What the column begins with that has the mean reward of a policy of several, again as in those events."""
OF_POLICIES = tuple(f"policy_reward_{which}/" for which in ("mean", "min", "max"))


class Metric(NamedTuple):
    """A column of a row.

    ``title`` is for people; ``path`` leads to it in a result of ``Trainer.train()``. Without a path it is one of the
    learner's statistics, by RLlib's own name.
    """

    name: str
    title: str
    path: Tuple[str, ...] = ()


ESTIMATES = ("off_policy_estimator",)

METRICS: Sequence[Metric] = (
    Metric("evaluation_reward_mean", "reward in evaluations", ("evaluation", "episode_reward_mean")),
    Metric("evaluation_reward_min", "lowest reward in evaluations", ("evaluation", "episode_reward_min")),
    Metric("evaluation_reward_max", "highest reward in evaluations", ("evaluation", "episode_reward_max")),
    Metric("is_value", "worth by importance sampling", (*ESTIMATES, "is", "V_step_IS")),
    Metric("wis_value", "worth by weighted importance sampling", (*ESTIMATES, "wis", "V_step_WIS")),
    Metric("recorded_value", "worth of what was recorded", (*ESTIMATES, "is", "V_prev")),
    Metric("episode_len_mean", "episode length", ("episode_len_mean",)),
    Metric("entropy", "entropy"),
    Metric("policy_entropy", "entropy, summed over the batch"),
    Metric("kl", "KL divergence"),
    Metric("policy_loss", "policy loss"),
    Metric("vf_loss", "value loss"),
    Metric("vf_explained_var", "explained variance"),
    Metric("total_loss", "total loss"),
    Metric("mean_q", "mean Q value"),
    Metric("max_q", "highest Q value"),
    Metric("min_q", "lowest Q value"),
    Metric("mean_td_error", "TD error"),
    Metric("actor_loss", "actor loss"),
    Metric("critic_loss", "critic loss"),
    Metric("alpha_loss", "alpha loss"),
    Metric("alpha_value", "alpha"),
    Metric("grad_gnorm", "norm of the gradients"),
    Metric("cur_lr", "learning rate"),
)

LINE = "learning"
"""What the line of :func:`line` begins with."""


def columns(result: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the columns of a result that are there; a metric that the algorithm lacks, or has no value yet, is not."""
    stats = statistics(result)
    found = {metric.name: _value(metric, result, stats) for metric in METRICS}
    for policy in _policies(result):
        found.update(_of_policy(result, policy))
    custom = result.get("custom_metrics") or {}
    found.update({f"{CUSTOM}{key}": _number(value) for key, value in custom.items() if key.endswith("_mean")})
    return {name: value for name, value in found.items() if value is not None}


def _policies(result: Mapping[str, Any]) -> List[str]:
    """Return the names of the policies of a job that has several."""
    return list(agents.policies(result.get("config") or {}))


def _of_policy(result: Mapping[str, Any], policy: str) -> Dict[str, Optional[float]]:
    """Return the rewards of a policy of several, and what its learner says, each by its name and the policy's."""
    stats = statistics(result, policy)
    rewards = {f"{each}{policy}": _number((result.get(each[:-1]) or {}).get(policy)) for each in OF_POLICIES}
    learnt = (metric.name for metric in METRICS if not metric.path)
    return {**rewards, **{f"{name}/{policy}": _number(stats.get(name)) for name in learnt}}


def statistics(result: Mapping[str, Any], policy: str = agents.ONE) -> Mapping[str, Any]:
    """Return the learner's statistics of a policy; {} where it has none, as before it has learnt.

    RLlib's optimizers each wrap them in another way: in the policy's name, in ``learner_stats``, in both or neither.
    """
    stats: Mapping[str, Any] = result.get("info", {}).get("learner") or {}
    for key in (policy, "learner_stats"):
        inner = stats.get(key)
        stats = inner if isinstance(inner, Mapping) else stats
    return stats


def _value(metric: Metric, result: Mapping[str, Any], stats: Mapping[str, Any]) -> Optional[float]:
    if not metric.path:
        return _number(stats.get(metric.name))
    value: Any = result
    for key in metric.path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return _number(value)


def _number(value: Any) -> Optional[float]:
    """Return a finite number of Python; None for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def is_custom(key: str) -> bool:
    """Return whether a column is of a user's own callbacks."""
    return key.startswith(CUSTOM)


def is_of_policy(key: str) -> bool:
    """Return whether a column is of one policy of several, and no edge of a band."""
    return "/" in key and not is_custom(key) and not key.startswith(OF_POLICIES[1:])


def title(key: str) -> str:
    """Such a column for people: of a user's own callbacks by its user's name, of a policy by what it is and whose."""
    if is_custom(key):
        return key[len(CUSTOM) :].replace("_", " ")
    name, _, policy = key.partition("/")
    known = {metric.name: metric.title for metric in METRICS}
    return f"{known.get(name, 'reward')} of {policy}"


def names() -> List[str]:
    """Return the metrics that SageMaker is told of."""
    return [metric.name for metric in METRICS]


def line(row: Mapping[str, Any]) -> str:
    """Say in one line, where SageMaker finds the metrics, what a row tells of the learning; "" for nothing."""
    parts = [f"{name}: {row[name]:.6g}" for name in _named(row)]
    return f"{LINE}  {'  '.join(parts)}" if parts else ""


def _named(row: Mapping[str, Any]) -> Iterator[str]:
    yield from (name for name in names() if row.get(name) is not None)
    yield from (key for key in row if (is_custom(key) or is_of_policy(key)) and row[key] is not None)


def say(row: Mapping[str, Any], terminal: TextIO) -> None:
    """Print the line to the log, and to ``terminal`` where that is a log too: CloudWatch's, not a person's."""
    text = line(row)
    if not text:
        return
    print(text, flush=True)
    if not terminal.isatty():
        print(text, file=terminal, flush=True)
