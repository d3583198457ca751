"""An exported policy gives the action of the live agent: every algorithm, every kind of space, a few hundred times."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any, Dict, NamedTuple

import gym
import numpy as np
import pytest
from gym import spaces

from rl_app.errors import UserError
from rl_app.policies import Policy

OBSERVATIONS = 200
ROUNDING = 1e-6


def box(*shape: int, low: float = -2.0, high: float = 2.0, dtype: Any = np.float32) -> spaces.Box:
    return spaces.Box(low, high, shape, dtype)


NESTED = spaces.Dict(
    {
        "position": box(2, 3),
        "gear": spaces.Discrete(4),
        "doors": spaces.MultiBinary(3),
        "pair": spaces.Tuple([spaces.Discrete(2), box(2)]),
    }
)
ORDERED = spaces.Dict([("z", box(2)), ("a", spaces.Discrete(3))])
ACTIONS = spaces.Tuple([spaces.Discrete(3), box(2, low=-0.5, high=0.5), spaces.MultiDiscrete([2, 3])])
TINY = {"num_workers": 0}
REPLAY = {**TINY, "learning_starts": 10, "buffer_size": 100, "timesteps_per_iteration": 10}
FILTER = {"observation_filter": "MeanStdFilter"}
CONCURRENT = {"observation_filter": "ConcurrentMeanStdFilter", "sample_async": False}
PIXELS = {"model": {"conv_filters": [[4, [4, 4], 4], [8, [3, 3], 3]]}}


class Case(NamedTuple):
    run: str
    observations: spaces.Space
    actions: spaces.Space
    config: Dict[str, Any]


CASES = {
    "PPO-box-discrete": Case("PPO", box(4), spaces.Discrete(3), TINY),
    "PPO-box-discrete-filter": Case("PPO", box(4), spaces.Discrete(3), {**TINY, **FILTER}),
    "PPO-one-hot": Case("PPO", spaces.Discrete(16), spaces.Discrete(4), TINY),
    "PPO-one-hot-filter": Case("PPO", spaces.Discrete(5), spaces.Discrete(4), {**TINY, **FILTER}),
    "PPO-dict-filter": Case("PPO", NESTED, spaces.Discrete(3), {**TINY, **FILTER}),
    "PPO-ordered-dict": Case("PPO", ORDERED, spaces.Discrete(3), TINY),
    "PPO-tuple": Case("PPO", spaces.Tuple([box(3), spaces.Discrete(3)]), spaces.Discrete(3), TINY),
    "PPO-multidiscrete": Case("PPO", spaces.MultiDiscrete([3, 4]), spaces.MultiDiscrete([2, 5]), TINY),
    "PPO-multibinary": Case("PPO", spaces.MultiBinary(4), spaces.Discrete(3), TINY),
    "PPO-pixels-filter": Case(
        "PPO",
        box(12, 12, 3, low=0, high=255, dtype=np.uint8),
        spaces.Discrete(3),
        {**TINY, **PIXELS, **FILTER},
    ),
    "PPO-ram": Case("PPO", box(128, low=0, high=255, dtype=np.uint8), spaces.Discrete(3), TINY),
    "PPO-box-box": Case("PPO", box(3), box(2, low=-0.5, high=0.1), TINY),
    "PPO-box-box-unclipped": Case("PPO", box(3), box(2, low=-0.5, high=0.1), {**TINY, "clip_actions": False}),
    "PPO-tuple-actions": Case("PPO", box(3), ACTIONS, TINY),
    "PPO-lstm": Case("PPO", box(4), spaces.Discrete(3), {**TINY, "model": {"use_lstm": True, "lstm_cell_size": 16}}),
    "A2C-box-discrete": Case("A2C", box(4), spaces.Discrete(3), TINY),
    "A3C-box-box-filter": Case("A3C", box(4), box(2), {**TINY, **CONCURRENT}),
    "PG-box-discrete": Case("PG", box(4), spaces.Discrete(3), TINY),
    "MARWIL-box-discrete": Case("MARWIL", box(4), spaces.Discrete(3), TINY),
    "IMPALA-box-discrete": Case("IMPALA", box(4), spaces.Discrete(3), TINY),
    "IMPALA-box-multidiscrete": Case("IMPALA", box(4), spaces.MultiDiscrete([2, 3]), TINY),
    "APPO-box-discrete": Case("APPO", box(4), spaces.Discrete(3), TINY),
    "DQN-box-discrete": Case("DQN", box(4), spaces.Discrete(3), REPLAY),
    "DQN-distributional-filter": Case("DQN", box(4), spaces.Discrete(3), {**REPLAY, **FILTER, "num_atoms": 5}),
    "SimpleQ-one-hot": Case("SimpleQ", spaces.Discrete(6), spaces.Discrete(3), REPLAY),
    "SAC-box-box": Case("SAC", box(4), box(2, low=-1.0, high=3.0), REPLAY),
    "SAC-box-discrete": Case("SAC", box(4), spaces.Discrete(3), REPLAY),
    "DDPG-box-box": Case("DDPG", box(4), box(2, low=-1.0, high=3.0), REPLAY),
    "TD3-box-box-filter": Case("TD3", box(4), box(2), {**REPLAY, **FILTER}),
}


class Given(gym.Env):
    """An environment of the spaces it is given; an episode is one step."""

    def __init__(self, config: Dict[str, Any]) -> None:
        self.observation_space, self.action_space = config["observations"], config["actions"]

    def reset(self) -> Any:
        return self.observation_space.sample()

    def step(self, action: Any) -> Any:
        return self.observation_space.sample(), 1.0, True, {}


class Exported(NamedTuple):
    case: Case
    agent: Any
    model: Path
    observations: Any


@pytest.fixture(scope="module")
def tally(request):
    """How many actions were compared, by algorithm; printed at the end."""
    counts: Counter = Counter()
    yield counts
    lines = "  ".join(f"{run} {count}" for run, count in sorted(counts.items()))
    request.config.pluginmanager.get_plugin("terminalreporter").write_line(
        f"\nactions equal to the live agent's: {lines}"
    )


@pytest.fixture(scope="module")
def ray():
    import ray
    from ray.tune.registry import register_env

    ray.init(num_cpus=2, include_webui=False, log_to_driver=False, ignore_reinit_error=True)
    register_env("given", lambda config: Given(config))
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module", params=list(CASES))
def exported(request, ray, tmp_path_factory):
    """An agent of the case with weights far from their start and a filter that has seen something, exported."""
    from ray.rllib.agents.registry import get_agent_class

    from rl_app import checkpoints
    from rl_app.export import export
    from rl_app.models import with_lstm

    case = CASES[request.param]
    directory = tmp_path_factory.mktemp("exported")
    env_config = {"observations": case.observations, "actions": case.actions}
    agent = get_agent_class(case.run)(
        env="given",
        config=with_lstm({**case.config, "seed": 1, "env_config": env_config, "log_level": "ERROR"}),
    )
    case.observations.seed(1)
    observations = [case.observations.sample() for _ in range(OBSERVATIONS)]
    far_from_the_start(agent, observations)
    agent.config["env_config"] = {}
    export(agent, directory / "model", checkpoints.save(agent, directory / "checkpoints"), {"iteration": 1})
    yield Exported(case, agent, directory / "model", observations)
    agent.stop()


def far_from_the_start(agent: Any, observations: Any) -> None:
    rng = np.random.default_rng(0)
    policy = agent.get_policy()
    policy.set_weights(
        {
            name: rng.normal(scale=0.05 if w.ndim == 1 else np.prod(w.shape[:-1]) ** -0.5, size=w.shape).astype(w.dtype)
            for name, w in policy.get_weights().items()
        }
    )
    worker = agent.workers.local_worker()
    for observation in observations[: OBSERVATIONS // 2]:
        worker.filters["default_policy"](worker.preprocessors["default_policy"].transform(observation), update=True)


def agent_actions(exported: Exported) -> Any:
    """What the live agent's environment is given, one action an observation, state carried where there is one."""
    agent = exported.agent
    env = agent.workers.local_worker().env
    state = agent.get_policy().get_initial_state()
    actions = []
    for observation in exported.observations:
        action = agent.compute_action(observation, state=list(state) or None, explore=False)
        if state:
            action, state, _ = action
        if isinstance(exported.case.actions, spaces.Tuple):
            action = tuple(np.asarray(part)[0] for part in action)  # compute_action leaves their batch on
        actions.append(env.action(action) if agent.config["normalize_actions"] else action)
    return actions


def policy_actions(policy: Policy, observations: Any) -> Any:
    """The exported policy's actions: in one batch, and where state is carried, one after the other."""
    if not policy.state_sizes:
        return list(policy.env_actions(policy.act(policy.flatten(observations))))
    state, actions = policy.initial_state(1), []
    for observation in observations:
        outputs = policy.act(policy.flatten([observation]), state)
        state = [outputs[f"state_out_{i}"] for i in range(len(policy.state_sizes))]
        actions.append(policy.env_actions(outputs)[0])
    return actions


def assert_same(space: spaces.Space, expected: Any, actual: Any) -> None:
    if isinstance(space, spaces.Tuple):
        for i, part in enumerate(space.spaces):
            assert_same(part, [each[i] for each in expected], [each[i] for each in actual])
    elif isinstance(space, spaces.Box):
        np.testing.assert_allclose(np.array(actual), np.array(expected), rtol=0, atol=ROUNDING)
    else:
        np.testing.assert_array_equal(np.array(actual), np.array(expected))


def test_acts_as_the_live_agent(exported, tally):
    expected = agent_actions(exported)
    actual = policy_actions(Policy.load(exported.model), exported.observations)
    assert_same(exported.case.actions, expected, actual)
    assert len({str(action) for action in expected}) > 1, "the agent always does the same, which proves nothing"
    assert len(actual) == OBSERVATIONS
    tally[exported.case.run] += OBSERVATIONS


def test_one_by_one_is_as_in_a_batch(exported):
    policy = Policy.load(exported.model)
    if policy.state_sizes:
        pytest.skip("a recurrent policy was asked one by one above")
    batch = policy_actions(policy, exported.observations)
    singles = [policy.env_actions(policy.act(policy.flatten([each])))[0] for each in exported.observations]
    assert_same(exported.case.actions, batch, singles)


def test_flattens_as_rllib(exported):
    preprocessor = exported.agent.workers.local_worker().preprocessors["default_policy"]
    expected = [np.asarray(preprocessor.transform(each)).ravel() for each in exported.observations]
    actual = Policy.load(exported.model).flatten(exported.observations)
    np.testing.assert_array_equal(actual, np.array(expected, np.float64))


def test_tensorflow_runs_the_saved_model_alike(exported, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(str(exported.model), str(model), ignore=shutil.ignore_patterns("policy.onnx"))
    fast, slow = Policy.load(exported.model), Policy.load(model)
    assert (fast.engine, slow.engine) == ("onnxruntime", "tensorflow")
    assert_same(
        exported.case.actions,
        policy_actions(fast, exported.observations[:50]),
        policy_actions(slow, exported.observations[:50]),
    )


def test_samples_what_the_agent_explores(exported):
    """Over one observation: the agent's own samples and ours have the same mean and spread."""
    policy = Policy.load(exported.model)
    flat = policy.flatten(exported.observations[:1])
    if policy.unsampled:
        with pytest.raises(UserError, match="no distribution to sample"):
            policy.act(flat, deterministic=False)
        return
    many = 4000
    ours = policy.act(np.repeat(flat, many, axis=0), deterministic=False, rng=np.random.default_rng(1))
    theirs, _, info = exported.agent.get_policy().compute_actions(
        np.repeat(filtered(exported)[None], many, axis=0),
        [np.zeros((many, length), np.float32) for length in policy.state_sizes],
        explore=True,
        timestep=10**6,
    )
    columns = getattr(theirs, "batches", [theirs])
    for i, column in enumerate(columns):
        actions, column = ours[f"actions_{i}"].astype(float), np.asarray(column).astype(float)
        assert actions.shape == column.shape
        spread = max(column.std(), 0.05)
        np.testing.assert_allclose(actions.mean(axis=0), column.mean(axis=0), atol=5 * spread * (2 / many) ** 0.5)
        np.testing.assert_allclose(actions.std(axis=0), column.std(axis=0), atol=0.1 * spread)
    if "action_logp" in ours:
        np.testing.assert_allclose(ours["action_logp"].mean(), info["action_logp"].mean(), atol=0.15)


def filtered(exported: Exported) -> Any:
    worker = exported.agent.workers.local_worker()
    transformed = worker.preprocessors["default_policy"].transform(exported.observations[0])
    return worker.filters["default_policy"](transformed, update=False)


def test_the_same_seed_samples_the_same(exported):
    policy = Policy.load(exported.model)
    if policy.unsampled:
        pytest.skip(policy.unsampled)
    flat = policy.flatten(exported.observations)
    drawn = [policy.act(flat, deterministic=False, rng=np.random.default_rng(7)) for _ in range(2)]
    for name in drawn[0]:
        np.testing.assert_array_equal(drawn[0][name], drawn[1][name])


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("policy.json", None, "no such file"),
        ("policy.json", b"{", "cannot be read"),
        ("policy.json", b"[]", "missing; it is no policy.json"),
        ("policy.onnx", b"garbage", "cannot be loaded"),
    ],
)
def test_a_broken_model_is_named(exported, tmp_path, file, content, said):
    model = tmp_path / "model"
    shutil.copytree(str(exported.model), str(model))
    (model / file).unlink()
    if content is not None:
        (model / file).write_bytes(content)
    with pytest.raises(UserError, match=said) as refused:
        Policy.load(model)
    assert str(model / file) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_files_that_do_not_fit_each_other_are_refused(exported, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(str(exported.model), str(model))
    facts = json.loads((model / "policy.json").read_text())
    facts["observation_space"] = {"type": "Discrete", "n": 77, "start": 0}
    (model / "policy.json").write_text(json.dumps(facts))
    with pytest.raises(UserError, match="77 numbers"):
        Policy.load(model)
