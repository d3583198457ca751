"""Any environment is refused before Ray in one line that names it, or is right in training, evaluation and serving.

Right: an iteration is trained and exported, and the actions of evaluate and of the server are those of the live agent,
inside the space that the environment declared. In the suite for half a minute; by hand for as long as one likes, with
other environments each time: ``python -m tests.app.test_any_environment MINUTES``.
"""

from __future__ import annotations

import gc
import json
import re
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import gym
import numpy as np
from gym import spaces
from hypothesis import HealthCheck, Phase, given, seed, settings

from rl_app import algorithms
from rl_app.envs.contract.observations import Reader
from rl_app.envs.contract.trial import try_out
from rl_app.errors import UserError
from rl_app.job.hyperparameters import parse
from rl_app.machine import Machine
from rl_app.policy import export
from rl_app.policy.episodes import Exported
from rl_app.policy.policy import Policy
from rl_app.spaces.description import describe, leaves
from rl_app.training import checkpoints, ray_runtime
from rl_app.training.trial import Trial, build_trainer
from tests.app.any_environment import Described, constructor, environments, value
from tests.app.any_space import as_json
from tests.app.serving import Served

MACHINE = Machine(2, 0)
SUITE_S = 30.0
OBSERVATIONS = 6
ROUNDING = {"rtol": 1e-4, "atol": 1e-5}
MOST_STEPS = 30
REFUSAL = re.compile(r"env = any: (its (observation|action)_space|(reset|step) gave) .*", re.DOTALL)

ON_POLICY = {"train_batch_size": 24, "rollout_fragment_length": 12, "model": {"fcnet_hiddens": [8]}}
REPLAY = {"train_batch_size": 12, "learning_starts": 12, "timesteps_per_iteration": 24, "buffer_size": 100}
CONFIGS: Dict[str, Dict[str, Any]] = {
    "PPO": {**ON_POLICY, "sgd_minibatch_size": 12, "num_sgd_iter": 1, "simple_optimizer": True},
    "A2C": ON_POLICY,
    "PG": ON_POLICY,
    "DQN": {**REPLAY, "rollout_fragment_length": 4, "model": {"fcnet_hiddens": [8]}},
    "SAC": {**REPLAY, "rollout_fragment_length": 1},
    "DDPG": {**REPLAY, "rollout_fragment_length": 1},
}


class Tried(NamedTuple):
    """What became of one: ``refused`` is the line; ``failed`` what went wrong."""

    refused: Optional[str] = None
    failed: Optional[str] = None


def trial_of(described: Described) -> Trial:
    config = {"num_workers": 0, "min_iter_time_s": 0, **CONFIGS[described.algorithm]}
    if described.filtered:
        config["observation_filter"] = "MeanStdFilter"
    experiment = {"run": described.algorithm, "env": "any", "config": config}
    job = parse({"experiment": "any", "seed": "1"}, MACHINE, {"any": experiment})
    return Trial(job, {"any": constructor(described)})


def tried(described: Described) -> Tried:
    """Takes it from the trial to the server. An endless one, and one that turns bad later, may fail with its name."""
    trial = trial_of(described)
    config = algorithms.merged(algorithms.default_config(described.algorithm), trial.job.trial["config"])
    try:
        try_out(trial.made(strict=True, as_rllib=True), "any", trial.job.trial, config, 1)
    except UserError as error:
        line = str(error)
        return Tried(refused=line) if REFUSAL.fullmatch(line) and "\n" not in line else Tried(failed=f"refused: {line}")
    try:
        with tempfile.TemporaryDirectory() as directory:
            check_everywhere(described, trial, Path(directory))
    except Exception:
        return Tried(failed=traceback.format_exc())
    return Tried()


def check_everywhere(described: Described, trial: Trial, directory: Path) -> None:
    agent = build_trainer(trial, directory)
    try:
        agent.train()
        export.export(agent, directory / "model", checkpoints.save(agent, directory / "checkpoints"), {})
        policy = Policy.load(directory / "model")
        rng = np.random.default_rng(0)
        observations = [value(described.observations, rng) for _ in range(OBSERVATIONS)]
        live = [by_the_agent(agent, trial, each) for each in observations]
        played = by_evaluate(policy, observations)
        check_episode(policy, trial)
        with Served(directory / "model") as server:
            served = [by_the_server(server, described.actions, each) for each in observations]
        for agents, evaluates, servers in zip(live, played, served):
            assert described.actions.contains(evaluates), f"evaluate: {evaluates!r}"
            assert same(agents, evaluates), f"agent {agents!r}, evaluate {evaluates!r}"
            assert same(agents, servers), f"agent {agents!r}, server {servers!r}"
    finally:
        agent.stop()


def by_the_agent(agent: Any, trial: Trial, observation: Any) -> Any:
    """What the environment would be given: by RLlib's agent, through the wrapper."""
    from ray.rllib.env.normalize_actions import NormalizeActionWrapper

    env = trial.creator({})
    action = agent.compute_action(Reader(env.declared[0], as_rllib=True).read(observation), explore=False)
    if isinstance(action, list):
        action = tuple(part[0] for part in action)  # compute_action keeps the batch in each part of a Tuple
    if agent.config["normalize_actions"]:
        action = NormalizeActionWrapper(env).action(action)
    return env._act(action)


def by_evaluate(policy: Policy, observations: List[Any]) -> List[Any]:
    player = Exported(policy)
    player.begin(0)
    return [player.act(each, 0.0) for each in observations]


def check_episode(policy: Policy, trial: Trial) -> None:
    """Plays as evaluate plays, in the environment with the spaces that it declares."""
    env, player = trial.made()({}), Exported(policy)
    player.begin(0)
    observation, done = env.reset(), False
    for _ in range(MOST_STEPS):
        observation, _, done, _ = env.step(player.act(observation, 0.0))
        if done:
            break


def by_the_server(server: Served, space: gym.Space, observation: Any) -> Any:
    said = server.post({"observations": as_json(observation)})
    assert said.status == 200, said
    outputs = said.json["outputs"]
    parts = list(leaves(describe(space)))
    return rebuilt(space, iter([outputs[f"actions_{i}"][0] for i in range(len(parts))]))


def rebuilt(space: gym.Space, parts: Any) -> Any:
    if isinstance(space, spaces.Dict):
        return {key: rebuilt(part, parts) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(rebuilt(part, parts) for part in space.spaces)
    return next(parts)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    ours, theirs = np.asarray(one), np.asarray(other)
    if ours.dtype.kind != "f":
        # Rounded from quantities that are equal within rounding: on the edge of two numbers either is right
        return ours.shape == theirs.shape and bool(np.all(np.abs(ours.astype(object) - theirs.astype(object)) <= 0))
    return ours.shape == theirs.shape and np.allclose(ours, theirs, **ROUNDING)


class Outcomes:
    """Counts what became of all of them, and keeps what went wrong."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.failed: List[Tuple[Described, str]] = []

    def add(self, described: Described, outcome: Tried) -> None:
        if outcome.failed and not expected(described, outcome.failed):
            self.failed.append((described, outcome.failed))
        kind = "refused" if outcome.refused else "failed, as it should" if outcome.failed else "trained and served"
        self.counts[kind] += 1
        if outcome.refused:
            self.refusals[
                re.sub(r"(space|reward|observation outside its space) .*?(?=: [A-Za-z])", r"\1 …", outcome.refused)[:90]
            ] += 1


def expected(described: Described, failure: str) -> bool:
    """Whether it is of a kind that goes wrong after the trial: with its own name, or as diverged."""
    late = described.reward in ("NaN at 7",) and "env = any: step gave the reward nan" in failure
    diverged = described.reward == "huge" and "no longer finite" in failure
    wide = "no longer finite" in failure
    return late or diverged or wide


def run(seconds: float, seed_: int) -> Outcomes:
    """Tries as many as there is time for."""
    outcomes, deadline = Outcomes(), time.monotonic() + seconds

    @seed(seed_)
    @settings(
        max_examples=100_000,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(environments)
    def each(described: Described) -> None:
        if time.monotonic() > deadline:
            raise TimeIsUpError
        outcomes.add(described, tried(described))
        gc.collect()

    with ray_runtime.running(MACHINE), suppress(TimeIsUpError):
        each()
    return outcomes


class TimeIsUpError(Exception):
    """Ends the drawing."""


def test_any_environment_is_refused_or_right_everywhere() -> None:
    outcomes = run(SUITE_S, seed_=0)
    assert outcomes.counts["trained and served"], outcomes.counts
    assert not outcomes.failed, outcomes.failed


if __name__ == "__main__":
    found = run(60 * float(sys.argv[1]), seed_=int(time.time()))
    print(json.dumps({**found.counts, "unexpected": len(found.failed)}, indent=2))
    for line, count in found.refusals.most_common():
        print(f"{count:5d}  {line}")
    for described, failure in found.failed:
        print(f"\n{described!r}\n{failure}")
