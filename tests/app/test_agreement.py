"""One observation, one action: of the trained agent, of evaluate, of the server, and by either engine.

For every algorithm of the registry and every kind of space: a policy is trained a little and exported, then
hypothesis draws observations, and the action that ``compute_action(explore=False)`` gives for each is held against
evaluate's, the server's for one observation and for a batch, TensorFlow's, and numpy's, which videos are played by
where the network is of plain layers. Discrete actions are equal to the bit, continuous ones within 1e-6. The end of
the run has a table of how many were compared.

Left out is DQN with ``noisy``: RLlib 0.8.5 draws the noise of its layers in every pass, with ``explore=False`` too,
so that the agent does not agree with itself.
"""

from __future__ import annotations

import json
import pickle
import shutil
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import gym
import numpy as np
import pytest
from gym import spaces
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from rl_app import algorithms
from rl_app.job import metrics
from rl_app.job.agents import ONE
from rl_app.job.hyperparameters import parse
from rl_app.job.metrics import Row
from rl_app.job.rules import LEAST_WORKERS
from rl_app.machine import Machine
from rl_app.policy.episodes import Exported
from rl_app.policy.exportable import check_exportable
from rl_app.policy.loading import read_facts
from rl_app.policy.own_classes import OwnClasses
from rl_app.policy.policy import Policy
from tests.app.any_space import as_json, values
from tests.app.serving import Served
from tests.waiting import until

EXAMPLES = 60
"""Episodes that hypothesis draws for each case, of 1 to 8 observations."""
LONGEST = 8
ROUNDING = 1e-6
ROUNDING_OF_VIDEOS = 2e-6
"""Of numpy's policy, in single precision: a layer over observations of up to 10 rounds each of its sums by 5e-7."""
MACHINE = Machine(3, 0)
ONE_THREAD = {
    name: {"intra_op_parallelism_threads": 1, "inter_op_parallelism_threads": 1}
    for name in ("tf_session_args", "local_tf_session_args")
}

BOX = spaces.Box(-10.0, 10.0, (4,), np.float32)
WIDE = spaces.Box(-1000.0, 5000.0, (3,), np.float64)
TORQUES = spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([2.0, 0.5], np.float32))
DICT = spaces.Dict({"parcel": spaces.Discrete(3), "at": BOX, "doors": spaces.MultiBinary(2)})
TUPLE = spaces.Tuple([spaces.Discrete(4), WIDE, spaces.MultiDiscrete([3, 2])])
THREE = spaces.Discrete(3)
MIXED = spaces.Tuple([spaces.Discrete(3), spaces.Box(-1.0, 1.0, (2,), np.float32), spaces.MultiDiscrete([2, 3])])

SMALL = {"model": {"fcnet_hiddens": [16, 16]}, "rollout_fragment_length": 16, "train_batch_size": 32}
ON_POLICY = {**SMALL, "num_gpus": 0}
PPO = {**SMALL, "sgd_minibatch_size": 16, "num_sgd_iter": 2, "simple_optimizer": True}
LSTM = {"model": {"use_lstm": True, "lstm_cell_size": 8, "fcnet_hiddens": [16], "max_seq_len": 8}}
FILTERED = {"observation_filter": "MeanStdFilter"}
REPLAY = {**SMALL, "buffer_size": 500, "learning_starts": 32, "timesteps_per_iteration": 64}
# The critics and actors of these have settings of their own for their networks
OFF_POLICY = {key: value for key, value in REPLAY.items() if key != "model"}
DDPG = {**OFF_POLICY, "actor_hiddens": [16, 16], "critic_hiddens": [16, 16]}
SAC = {**OFF_POLICY, "Q_model": {"fcnet_hiddens": [16]}, "policy_model": {"fcnet_hiddens": [16]}}
DISTRIBUTED = {"num_gpus": 0, "optimizer": {"num_replay_buffer_shards": 1, "debug": False}}


PAIRS = spaces.Tuple([spaces.Discrete(2), spaces.Discrete(2)])
CHOICES = spaces.Box(-10.0, 10.0, (3, 2), np.float32)
MASKED = spaces.Dict({"action_mask": spaces.MultiBinary(3), "avail_actions": CHOICES, "cart": BOX})


def own(name: str) -> Dict[str, Any]:
    """What chooses a network of the user's own."""
    return {"custom_model": name}


DENSE = own("dense")
AUTOREGRESSIVE = {**own("autoregressive"), "custom_action_dist": "pairs"}


class Case(NamedTuple):
    algorithm: str
    observations: gym.Space
    actions: gym.Space
    config: Mapping[str, Any]
    newer: bool = False
    """Whether the environment is written for Gym 0.26."""
    plain: bool = True
    """Whether the network is of plain layers, which numpy can play."""
    other: Optional[Tuple[gym.Space, gym.Space]] = None
    """The spaces of a second agent of the environment, with a policy of its own; that of the first is held to be."""

    @property
    def policy(self) -> str:
        """What RLlib calls the policy."""
        return ONE if self.other is None else FIRST


FIRST, SECOND = "first", "second"
CASES = {
    "PPO": Case("PPO", BOX, THREE, PPO),
    "PPO, filter": Case("PPO", WIDE, THREE, {**PPO, **FILTERED}),
    "PPO, matrix": Case("PPO", spaces.Box(-1.0, 1.0, (2, 3), np.float32), THREE, {**PPO, **FILTERED}),
    "PPO, one-hot": Case("PPO", spaces.Discrete(9), spaces.MultiDiscrete([3, 4]), PPO),
    "PPO, Dict to Box": Case("PPO", DICT, TORQUES, {**PPO, **FILTERED}),
    "PPO, Tuple to Tuple": Case("PPO", TUPLE, MIXED, PPO),
    "PPO, LSTM": Case("PPO", BOX, THREE, {**PPO, **LSTM}, plain=False),
    "PPO, LSTM, Dict to Box": Case("PPO", DICT, TORQUES, {**PPO, **LSTM, **FILTERED}, plain=False),
    "PPO, newer": Case("PPO", TUPLE, MIXED, PPO, newer=True),
    "APPO": Case("APPO", BOX, THREE, ON_POLICY),
    "IMPALA": Case("IMPALA", DICT, THREE, ON_POLICY),
    "A2C": Case("A2C", BOX, TORQUES, SMALL),
    "A2C, LSTM": Case("A2C", TUPLE, THREE, {**SMALL, **LSTM}, plain=False),
    "A3C": Case("A3C", BOX, THREE, SMALL),
    "PG": Case("PG", TUPLE, MIXED, SMALL),
    "MARWIL": Case("MARWIL", BOX, THREE, {**SMALL, "replay_buffer_size": 500}),
    "DQN": Case("DQN", DICT, THREE, {**REPLAY, **FILTERED}),
    "DQN, newer": Case("DQN", DICT, THREE, REPLAY, newer=True),
    "DQN, distributional": Case("DQN", BOX, THREE, {**REPLAY, "num_atoms": 5, "v_min": -5.0, "v_max": 5.0}),
    "SimpleQ": Case("SimpleQ", spaces.Discrete(9), THREE, REPLAY),
    "APEX": Case("APEX", BOX, THREE, {**REPLAY, **DISTRIBUTED, "target_network_update_freq": 50}),
    "SAC": Case("SAC", BOX, TORQUES, {**SAC, **FILTERED}),
    "SAC, Discrete": Case("SAC", TUPLE, THREE, SAC),
    "DDPG": Case("DDPG", DICT, TORQUES, DDPG),
    "APEX_DDPG": Case("APEX_DDPG", BOX, TORQUES, {**DDPG, **DISTRIBUTED, "target_network_update_freq": 50}),
    "TD3": Case("TD3", BOX, TORQUES, {**DDPG, **FILTERED}),
    # Networks and distributions of a user's own, of tests/app/networks
    "PPO, own network": Case("PPO", BOX, THREE, {**PPO, "model": DENSE}),
    "PPO, own network, Dict to Tuple": Case("PPO", DICT, MIXED, {**PPO, **FILTERED, "model": DENSE}),
    "PPO, own CNN": Case(
        "PPO", spaces.Box(0.0, 1.0, (6, 6, 3), np.float32), THREE, {**PPO, "model": own("frames")}, plain=False
    ),
    "PPO, own mask": Case("PPO", MASKED, THREE, {**PPO, "model": own("parametric"), "vf_share_layers": True}),
    "PPO, own LSTM": Case("PPO", BOX, THREE, {**PPO, "model": {**own("recurrent"), "max_seq_len": 8}}, plain=False),
    "PPO, own distribution": Case("PPO", BOX, THREE, {**PPO, "model": {**DENSE, "custom_action_dist": "sharp"}}),
    "PPO, autoregressive": Case("PPO", spaces.Discrete(2), PAIRS, {**PPO, "model": AUTOREGRESSIVE}),
    "A2C, own network": Case("A2C", BOX, TORQUES, {**SMALL, "model": DENSE}),
    "DQN, own network": Case("DQN", BOX, THREE, {**REPLAY, "model": DENSE}),
    "SAC, own network": Case("SAC", BOX, TORQUES, {**SAC, "model": DENSE}),
    "DDPG, own network": Case("DDPG", BOX, TORQUES, {**DDPG, "model": DENSE}),
    # Each of two agents has a policy, and spaces of its own
    "PPO, agents": Case("PPO", DICT, TORQUES, {**PPO, **FILTERED}, other=(BOX, THREE)),
    "PPO, agents, LSTM": Case("PPO", BOX, MIXED, {**PPO, **LSTM}, plain=False, other=(DICT, THREE)),
    "PPO, agents, own network": Case("PPO", BOX, THREE, {**PPO, "model": DENSE}, other=(WIDE, TORQUES)),
    "APPO, agents": Case("APPO", BOX, THREE, ON_POLICY, other=(DICT, THREE)),
    "IMPALA, agents": Case("IMPALA", BOX, THREE, ON_POLICY, other=(DICT, THREE)),
    "A2C, agents": Case("A2C", TUPLE, TORQUES, SMALL, other=(BOX, THREE)),
    "A3C, agents": Case("A3C", BOX, THREE, SMALL, other=(DICT, THREE)),
    "PG, agents": Case("PG", BOX, MIXED, SMALL, other=(DICT, THREE)),
    "MARWIL, agents": Case("MARWIL", BOX, THREE, {**SMALL, "replay_buffer_size": 500}, other=(DICT, THREE)),
    "DQN, agents": Case("DQN", DICT, THREE, REPLAY, other=(BOX, THREE)),
    "SimpleQ, agents": Case("SimpleQ", BOX, THREE, REPLAY, other=(DICT, THREE)),
    "APEX, agents": Case(
        "APEX", BOX, THREE, {**REPLAY, **DISTRIBUTED, "target_network_update_freq": 50}, other=(DICT, THREE)
    ),
    "SAC, agents": Case("SAC", BOX, TORQUES, {**SAC, "normalize_actions": False}, other=(DICT, TORQUES)),
    "DDPG, agents": Case("DDPG", BOX, TORQUES, DDPG, other=(DICT, TORQUES)),
    "APEX_DDPG, agents": Case(
        "APEX_DDPG", BOX, TORQUES, {**DDPG, **DISTRIBUTED, "target_network_update_freq": 50}, other=(DICT, TORQUES)
    ),
    "TD3, agents": Case("TD3", BOX, TORQUES, DDPG, other=(DICT, TORQUES)),
}


def environments(case: Case) -> Callable[[Any], gym.Env]:
    """Makes environments of the case, which Ray's workers have to be sent: they cannot import this module."""
    # Each environment has spaces of its own: the generator of one that has drawn does not survive Gym 0.22's pickling
    unused, length = pickle.dumps((case.observations, case.actions)), LONGEST
    newer = case.newer

    class Sampled(gym.Env):
        """Any observation follows on any action; the reward is better for small actions."""

        def __init__(self) -> None:
            self.observation_space, self.action_space = pickle.loads(unused)

        def seed(self, seed: int = 0) -> None:
            self.observation_space.seed(seed)

        def reset(self) -> Any:
            self.steps = 0
            return self.observation_space.sample()

        def step(self, action: Any) -> Tuple[Any, float, bool, Dict[str, Any]]:
            self.steps += 1
            parts = action if isinstance(action, (tuple, list)) else (action,)
            reward = -sum(float(np.abs(part).sum()) for part in parts)
            return self.observation_space.sample(), reward, self.steps == length, {}

    class Newer(Sampled):
        """The same as Gym 0.26 has it; its episodes are cut, and do not end."""

        def reset(self, seed: Optional[int] = None, options: Any = None) -> Any:
            return super().reset(), {}

        def step(self, action: Any) -> Any:
            observation, reward, done, info = super().step(action)
            return observation, reward, False, done, info

    return lambda env_config: Newer() if newer else Sampled()


def environments_of_agents(case: Case) -> Callable[[Any], Any]:
    """Makes environments of the two agents of a case, in which either acts in every step."""
    from ray.rllib.env import MultiAgentEnv

    assert case.other is not None
    unused = pickle.dumps({FIRST: (case.observations, case.actions), SECOND: case.other})
    length = LONGEST

    class Sampled(MultiAgentEnv):
        """Any observation follows on any action; the reward is better for small actions."""

        def __init__(self) -> None:
            spaces = pickle.loads(unused)
            self.observation_space = {agent: each[0] for agent, each in spaces.items()}
            self.action_space = {agent: each[1] for agent, each in spaces.items()}

        def seed(self, seed: int = 0) -> None:
            for space in self.observation_space.values():
                space.seed(seed)

        def reset(self) -> Any:
            self.steps = 0
            return {agent: space.sample() for agent, space in self.observation_space.items()}

        def step(self, actions: Any) -> Any:
            self.steps += 1
            rewards = {}
            for agent, action in actions.items():
                parts = action if isinstance(action, (tuple, list)) else (action,)
                rewards[agent] = -sum(float(np.abs(part).sum()) for part in parts)
            observations = {agent: space.sample() for agent, space in self.observation_space.items()}
            return observations, rewards, {"__all__": self.steps == length}, {}

    return lambda env_config: Sampled()


class Trained(NamedTuple):
    """The agent, its policy by each engine, the server of it, and the rows of its iterations."""

    case: Case
    agent: Any
    exported: Policy
    tensorflow: Policy
    numpy: Optional[Policy]
    server: Served
    rows: List[Row]


@pytest.fixture(scope="module")
def ray_running() -> Iterator[None]:
    from rl_app.training import ray_runtime

    with ray_runtime.running(MACHINE):
        yield


@pytest.fixture(scope="module", params=CASES)
def everyone(request: pytest.FixtureRequest, ray_running: None, tmp_path_factory: pytest.TempPathFactory) -> Any:
    case, directory = CASES[request.param], tmp_path_factory.mktemp("case")
    rows: List[Row] = []
    with trainer(case, directory, rows) as agent:
        exported, tensorflow = export(agent, directory)
        with Served(exported) as server:
            own = "" if case.other is None else f"policies/{case.policy}"
            network = in_numpy(agent.get_policy(case.policy), exported / own)
            policies = Policy.load(exported / own), Policy.load(tensorflow / own), network
            yield Trained(case, agent, *policies, server, rows)


@contextmanager
def trainer(case: Case, directory: Path, rows: List[Row]) -> Iterator[Any]:
    """An agent that has begun to learn, built as the job of an experiment builds it; ``rows`` gets its iterations."""
    from rl_app.training.trial import Trial, build_trainer, try_environment
    from tests.app.networks import models

    workers = {"num_workers": LEAST_WORKERS.get(case.algorithm, 0)}
    common = {**ONE_THREAD, **workers, "min_iter_time_s": 0}
    if case.other is not None:
        common["multiagent"] = {"policies": {FIRST: {}, SECOND: {}}}
    experiment = {"run": case.algorithm, "env": "sampled", "config": {**common, **case.config}}
    job = parse({"experiment": "case", "seed": "1"}, MACHINE, {"case": experiment})
    classes = OwnClasses({"custom_model": models.MODELS, "custom_action_dist": models.ACTION_DISTRIBUTIONS})
    made = environments(case) if case.other is None else environments_of_agents(case)
    trial = Trial(job, {"sampled": made}, classes)
    trial = try_environment(trial, False, print) if case.other else trial
    agent = build_trainer(trial, directory)
    policy = agent.get_policy(case.policy)
    if trial.exports_own:
        check_exportable(policy)
    try:
        until(lambda: has_learned(agent, policy, policy.get_weights(), rows), 60)
        has_learned(agent, policy, {}, rows)  # one more, for what is counted from one to the next
        yield agent
    finally:
        agent.stop()


def has_learned(agent: Any, policy: Any, before: Mapping[str, Any], rows: List[Row]) -> bool:
    """Trains for one iteration, which is not enough for learners in a thread of their own."""
    rows.append(metrics.row(agent.train(), rows[-1] if rows else None))
    after = policy.get_weights()
    return any(not np.array_equal(after[name], before[name]) for name in before)


def export(agent: Any, directory: Path) -> Tuple[Path, Path]:
    """The exported policy, and the same where onnxruntime could not take its graph."""
    from rl_app.policy import export as exporting
    from rl_app.training import checkpoints

    both, saved_model = directory / "model", directory / "saved_model"
    exporting.export(agent, both, checkpoints.save(agent, directory / "checkpoints"), {})
    shutil.copytree(str(both), str(saved_model))
    for file in saved_model.rglob("policy.onnx"):
        file.unlink()
    return both, saved_model


def in_numpy(policy: Any, exported: Path) -> Optional[Policy]:
    """The same policy as videos are played by it, where numpy can."""
    from rl_app.policy import freezing, numpy_network

    found = numpy_network.in_numpy(policy, freezing.freeze(policy))
    return None if found is None else Policy(read_facts(exported / "policy.json"), found.network())


# ---- an episode by each of them: of every step the parts of its action


Action = List[Any]


class Walk(NamedTuple):
    """``states`` are those before each step."""

    actions: List[Action]
    states: List[List[Any]]


def by_the_agent(trained: Trained, episode: Sequence[Any]) -> Walk:
    from ray.rllib.env.normalize_actions import NormalizeActionWrapper

    agent, walk, policy = trained.agent, Walk([], []), trained.case.policy
    env = agent.workers.local_worker().env.unwrapped
    rescale = NormalizeActionWrapper(env).action if agent.config["normalize_actions"] else lambda part: part
    state = agent.get_policy(policy).get_initial_state()
    for observation in episode:
        walk.states.append(state)
        action, state, _ = agent.compute_action(
            observation, state=state, policy_id=policy, full_fetch=True, explore=False
        )
        # compute_action keeps the batch in each part of a Tuple
        parts = [part[0] for part in action] if isinstance(action, list) else [action]
        walk.actions.append([rescale(part) for part in parts])
    return walk


def by_evaluate(policy: Policy, episode: Sequence[Any]) -> List[Action]:
    player, actions = Exported(policy), []
    player.begin(0)
    for observation in episode:
        action = player.act(observation, 0.0)
        actions.append(list(action) if isinstance(action, tuple) else [action])
    return actions


def by_the_server(trained: Trained, episode: Sequence[Any]) -> List[Action]:
    """One request an observation; what memory there is goes out and comes back in."""
    actions: List[Action] = []
    memory: Dict[str, Any] = {}
    for observation in episode:
        outputs = ask(trained, {"observations": as_json(observation), **memory})
        memory = {name.replace("out", "in"): state for name, state in outputs.items() if name.startswith("state_out")}
        actions += rows(outputs)
    return actions


def by_the_server_at_once(trained: Trained, episode: Sequence[Any], states: Sequence[Sequence[Any]]) -> List[Action]:
    memory = {f"state_in_{i}": np.array(state).tolist() for i, state in enumerate(zip(*states))}
    return rows(ask(trained, {"observations": [as_json(each) for each in episode], **memory}))


def by_the_server_for_the_agent(trained: Trained, episode: Sequence[Any]) -> List[Action]:
    """The same by the agent's name, in place of the policy's."""
    actions: List[Action] = []
    memory: Dict[str, Any] = {}
    for observation in episode:
        asked = {"observations": as_json(observation), **memory}
        said = trained.server.post({name: {FIRST: value} for name, value in asked.items()})
        assert said.status == 200, said
        outputs = said.json["outputs"][FIRST]
        memory = {name.replace("out", "in"): state for name, state in outputs.items() if name.startswith("state_out")}
        actions += rows(outputs)
    return actions


def by_tensorflow_at_once(trained: Trained, episode: Sequence[Any], states: Sequence[Sequence[Any]]) -> List[Action]:
    policy = trained.tensorflow
    outputs = policy.act(policy.flatten(episode), [np.array(state) for state in zip(*states)])
    return rows(policy.bounded(outputs))


def ask(trained: Trained, question: Mapping[str, Any]) -> Dict[str, Any]:
    named = {} if trained.case.other is None else {"policy": trained.case.policy}
    return answer(trained.server, {**question, **named})


def answer(server: Served, question: Mapping[str, Any]) -> Dict[str, Any]:
    said = server.post(question)
    assert said.status == 200, said
    outputs: Dict[str, Any] = said.json["outputs"]
    return outputs


def rows(outputs: Mapping[str, Any]) -> List[Action]:
    """The action of each row."""
    parts = [outputs[name] for name in sorted(outputs) if name.startswith("actions_")]
    return [list(each) for each in zip(*parts)]


# ---- the property


def test_everyone_gives_the_action_of_the_trained_agent(
    everyone: Trained, record_property: Callable[[str, Any], None]
) -> None:
    compared: Counter[str] = Counter()
    case = everyone.case

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, phases=[Phase.generate])
    @given(st.lists(values(case.observations), min_size=1, max_size=LONGEST))
    def holds(episode: List[Any]) -> None:
        expected, states = by_the_agent(everyone, episode)
        found = {
            "evaluate": by_evaluate(everyone.exported, episode),
            "serve": by_the_server(everyone, episode),
            "serve, batch": by_the_server_at_once(everyone, episode, states),
            "TensorFlow": by_evaluate(everyone.tensorflow, episode),
            "TensorFlow, batch": by_tensorflow_at_once(everyone, episode, states),
        }
        if everyone.numpy:
            found["numpy"] = by_evaluate(everyone.numpy, episode)
        if case.other is not None:
            found["serve, agent"] = by_the_server_for_the_agent(everyone, episode)
        for way, actions in found.items():
            check(actions, expected, case.actions, way, ROUNDING_OF_VIDEOS if way == "numpy" else ROUNDING)
            compared[way] += len(episode)
        check_engines(everyone, episode, states)

    holds()
    assert everyone.exported.engine == "onnxruntime" and everyone.tensorflow.engine == "tensorflow"
    assert (everyone.numpy is not None) == case.plain
    record_property("agreement", {"algorithm": case.algorithm, "actions": dict(compared)})


def check_engines(trained: Trained, episode: Sequence[Any], states: Sequence[Sequence[Any]]) -> None:
    """Whatever else the network gives, such as probabilities and values, is the same by both engines."""
    ours, theirs = (
        policy.act(policy.flatten(episode), [np.array(state) for state in zip(*states)])
        for policy in (trained.exported, trained.tensorflow)
    )
    assert set(ours) == set(theirs)
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-4, atol=1e-5, err_msg=name)


def check(actions: Sequence[Action], expected: Sequence[Action], space: gym.Space, way: str, rounding: float) -> None:
    parts = space.spaces if isinstance(space, spaces.Tuple) else [space]
    assert len(actions) == len(expected)
    for ours, theirs in zip(actions, expected):
        for part, action, agents in zip(parts, ours, theirs):
            if isinstance(part, spaces.Box):
                np.testing.assert_allclose(action, agents, rtol=0, atol=rounding, err_msg=way)
            else:
                np.testing.assert_array_equal(action, agents, err_msg=way)


ACTOR_CRITIC = {"entropy", "policy_loss", "vf_loss", "vf_explained_var", "cur_lr"}
SUMMED = {"policy_entropy", "policy_loss", "vf_loss", "vf_explained_var", "cur_lr"}
Q_VALUES = {"mean_q", "max_q", "min_q", "mean_td_error"}
LEARNT = {
    "PPO": {*ACTOR_CRITIC, "kl", "total_loss"},
    "APPO": ACTOR_CRITIC,
    "IMPALA": ACTOR_CRITIC,
    "A2C": SUMMED,
    "A3C": SUMMED,
    "PG": set(),
    "MARWIL": {"policy_loss", "vf_loss", "vf_explained_var", "total_loss"},
    "DQN": {*Q_VALUES, "cur_lr"},
    "SimpleQ": set(),
    "APEX": {*Q_VALUES, "cur_lr"},
    "SAC": {*Q_VALUES, "actor_loss", "critic_loss", "alpha_loss", "alpha_value"},
    "DDPG": {"mean_q", "max_q", "min_q"},
    "APEX_DDPG": {"mean_q", "max_q", "min_q"},
    "TD3": {"mean_q", "max_q", "min_q"},
}
"""The columns that each algorithm's learner gives, once it has learnt; RLlib's PG and SimpleQ say nothing of it."""

ASYNCHRONOUS = {"APPO", "IMPALA", "A3C", "APEX", "APEX_DDPG"}
"""Their workers sample on their own, and steps are counted when they have come, which may be an iteration later."""

NO_VALUE = {
    "optimizer_steps_this_iter": "an execution plan has no optimizer whose steps could be counted",
}
"""The columns that may be None in every row, each for its reason. Rewards are, too, until an episode has ended."""
OF_EPISODES = {f"episode_{name}" for name in ("reward_mean", "reward_min", "reward_max", "reward_std", "len_mean")}


def test_every_column_of_a_row_is_in_proportion_to_what_was_done(everyone: Trained) -> None:
    rows, algorithm = everyone.rows, everyone.case.algorithm
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    before: Row = {"timesteps_total": 0, "episodes_total": 0, "time_total_s": 0.0, "training_iteration": 0}
    for row in rows:
        played = row["episodes_total"] > 0
        allowed = {*NO_VALUE} if played else {*NO_VALUE, *OF_EPISODES}
        assert {key for key, value in row.items() if value is None} <= allowed
        steps = row["timesteps_this_iter"]
        assert steps > 0 or algorithm in ASYNCHRONOUS
        assert steps == row["timesteps_total"] - before["timesteps_total"]
        assert row["steps_per_s"] == pytest.approx(steps / row["time_this_iter_s"])
        assert row["time_this_iter_s"] == pytest.approx(row["time_total_s"] - before["time_total_s"])
        assert row["episodes_this_iter"] == row["episodes_total"] - before["episodes_total"]
        assert row["training_iteration"] == before["training_iteration"] + 1
        if played:
            assert row["episode_len_mean"] == LONGEST
            assert row["episode_reward_min"] <= row["episode_reward_mean"] <= row["episode_reward_max"] <= 0
        before = row
    unsaid = (
        Q_VALUES - {"mean_td_error"} if "num_atoms" in everyone.case.config else set()
    )  # of a distribution of values
    whose = "" if everyone.case.other is None else f"/{everyone.case.policy}"
    assert {key for key in LEARNT[algorithm] - unsaid if before.get(f"{key}{whose}") is None} == set()
    if everyone.case.other is not None:
        both = [before[f"policy_reward_mean/{policy}"] for policy in (FIRST, SECOND)]
        assert sum(both) == pytest.approx(before["episode_reward_mean"])
    if algorithm not in ASYNCHRONOUS:
        assert before["timesteps_total"] // LONGEST == before["episodes_total"]


def test_every_algorithm_of_the_registry_has_a_case() -> None:
    assert {case.algorithm for case in CASES.values()} == set(algorithms.NAMES)


def test_without_policy_onnx_tensorflow_serves_the_same_answers(model: Path, tmp_path: Path) -> None:
    alone = tmp_path / "model"
    shutil.copytree(str(model), str(alone))
    (alone / "policy.onnx").unlink()
    policy = Policy.load(model)
    observations = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    expected = policy.act(policy.flatten(observations))
    with Served(alone) as server:
        found = answer(server, {"observations": observations.tolist()})
        one_by_one = [answer(server, {"observations": each.tolist()})["actions_0"][0] for each in observations]
    assert "by tensorflow" in server.stderr
    assert set(expected["actions_0"]) == {0, 1}
    assert found["actions_0"] == one_by_one == expected["actions_0"].tolist()
    assert set(found) == set(expected)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-5, err_msg=name)
