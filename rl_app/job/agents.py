"""Several agents: the policies of a job, and whose each of them is, as ``config.multiagent`` says.

RLlib 0.8.5 takes a function from an agent's name to its policy's. Here a table of names may stand in its place, so that
hyperparameters can say it, and an exported model knows it without code.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Any, Dict, FrozenSet, Iterator, List, Mapping, Optional

from rl_app import algorithms
from rl_app.errors import UserError
from rl_app.job.settings import PREFIX
from rl_app.job.values import conform, joined, names, nearest, shown, unknown

POLICIES, TABLE, FUNCTION, TRAINED = "policies", "policy_mapping", "policy_mapping_fn", "policies_to_train"
KNOWN = (POLICIES, TABLE, FUNCTION, TRAINED)
PATH = f"{PREFIX}config.multiagent"

ONE = "default_policy"
"""What RLlib calls the policy of a job that names none."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Of a policy, which is a folder of the model and a word of a header."""


def _words(text: str) -> FrozenSet[str]:
    return frozenset(text.split())


# What RLlib reads of the trainer's config alone, and would ignore in a policy's own.
TRAINERS = _words(
    """
    batch_mode buffer_size callbacks clip_actions clip_rewards collect_metrics_timeout compress_observations env
    env_config evaluation_config evaluation_interval evaluation_num_episodes evaluation_num_workers horizon input
    input_evaluation learning_starts log_level min_iter_time_s monitor multiagent normalize_actions num_envs_per_worker
    num_gpus num_gpus_per_worker num_sgd_iter num_workers observation_filter output replay_buffer_size
    rollout_fragment_length seed sgd_minibatch_size simple_optimizer soft_horizon timesteps_per_iteration
    train_batch_size
    """
)

Table = Mapping[str, str]
UNSEEN = f"{PATH}.{TABLE}, a table of patterns, knows the agents too that no training has seen"


def policy_of(agent: object, table: Table) -> Optional[str]:
    """Return an agent's policy: that of its own name, else of the longest pattern that fits; None where none does."""
    name = str(agent)
    if name in table:
        return table[name]
    fitting = [pattern for pattern in table if fnmatchcase(name, pattern)]
    return table[max(fitting, key=len)] if fitting else None


def policies(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the policies of a trial's config by name; {} where it trains one that has no name."""
    return (config.get("multiagent") or {}).get(POLICIES) or {}


def settings(policy: Any) -> Mapping[str, Any]:
    """Return what a policy has of its own: an object of settings, or the last of RLlib's four values."""
    return (policy if isinstance(policy, Mapping) else policy[3] if policy else {}) or {}


def table(multiagent: Mapping[str, Any]) -> Optional[Table]:
    """Return whose the policies are; None where a function tells, of several.

    Where nothing is said, each of several is that of the agent of its name; a single one is all agents'.
    """
    known: List[str] = list(multiagent[POLICIES])
    if multiagent.get(TABLE):
        return dict(multiagent[TABLE])
    if len(known) == 1:
        return {"*": known[0]}
    return None if multiagent.get(FUNCTION) else {name: name for name in known}


def configs(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the trial's config as each policy has it: one, where there are no several."""
    own = policies(config)
    if not own:
        yield config
    for policy in own.values():
        yield algorithms.merged(config, settings(policy))


def check(config: Mapping[str, Any], run: str) -> None:
    """Check what a trial's config says of its policies.

    Raises:
        UserError: the first that is unknown, of a wrong type or impossible.
    """
    multiagent = config.get("multiagent") or {}
    for key, value in multiagent.items():
        if key not in KNOWN:
            raise unknown(f"{PATH}.{key}", value, dict.fromkeys(KNOWN), [f"{PATH}.{known}" for known in KNOWN])
    own = multiagent.get(POLICIES) or {}
    for name, policy in own.items():
        _check_policy(name, policy, run)
    for key in (TABLE, FUNCTION, TRAINED):
        if multiagent.get(key) and not own:
            raise _wrong(key, multiagent[key], f"nothing to choose from: {PATH}.{POLICIES} names the policies")
    _check_function(multiagent)
    _check_table(multiagent.get(TABLE), own)
    _check_trained(multiagent.get(TRAINED), own)


def _wrong(key: str, value: Any, what: str) -> UserError:
    return UserError(f"{PATH}.{key} = {shown(value)}: {what}")


def _check_policy(name: Any, policy: Any, run: str) -> None:
    path = f"{POLICIES}.{name}"
    if not isinstance(name, str) or not NAME.fullmatch(name) or name == ONE:
        what = f"the name must be of letters, digits, _, . and -, begin with a letter or a digit, and not be {ONE}"
        raise _wrong(path, policy, what)
    four = isinstance(policy, (tuple, list)) and len(policy) == 4 and isinstance(policy[3], Mapping)
    if not (policy is None or isinstance(policy, Mapping) or four):
        raise _wrong(path, policy, "expected an object of its settings, or RLlib's (class, spaces, settings)")
    template = algorithms.default_config(run)
    for key, value in settings(policy).items():
        if key in TRAINERS:
            raise _wrong(f"{path}.{key}", value, f"is the same for all policies: {PREFIX}config.{key}")
    known = [f"{PATH}.{path}.{key}" for key in names(template) if key not in TRAINERS]
    conform(dict(settings(policy)), template, f"{PATH}.{path}", known)


def _check_function(multiagent: Mapping[str, Any]) -> None:
    function = multiagent.get(FUNCTION)
    if function is not None and not callable(function):
        code = "Python code, which an experiment can hold and a hyperparameter cannot"
        raise _wrong(FUNCTION, function, f"{code}; {PATH}.{TABLE} says the same of agents by name")
    if function is not None and multiagent.get(TABLE):
        raise _wrong(TABLE, multiagent[TABLE], f"the experiment's {FUNCTION} says it already: give one of them")


def _check_table(given: Any, own: Mapping[str, Any]) -> None:
    if given is None:
        return
    if not isinstance(given, Mapping):
        raise _wrong(TABLE, given, 'expected an object of policies by agent, such as {"car_*": "cars"}')
    for agent, policy in given.items():
        if policy not in own:
            raise _unknown_policy(f"{TABLE}.{agent}", policy, own)


def _check_trained(given: Any, own: Mapping[str, Any]) -> None:
    if given is None:
        return
    if not isinstance(given, (list, tuple)) or not given:
        raise _wrong(TRAINED, given, f"expected a list of policies, of which there are {joined(own)}")
    for policy in given:
        if policy not in own:
            raise _unknown_policy(TRAINED, policy, own)


def _unknown_policy(key: str, policy: Any, own: Mapping[str, Any]) -> UserError:
    return _wrong(key, policy, f"no policy of this job; {nearest(str(policy), own)}there are {joined(own)}")


def written(multiagent: Mapping[str, Any], found: Table) -> Dict[str, Any]:
    """Return what is kept of it, as JSON can hold it; ``found`` is whose the policies are."""
    kept: Dict[str, Any] = {POLICIES: {name: dict(settings(each)) for name, each in multiagent[POLICIES].items()}}
    trained: Optional[List[str]] = multiagent.get(TRAINED)
    return {**kept, TABLE: dict(found), TRAINED: trained}
