"""Environments that step many at once: CartPole against Gym's, and a user's own in a job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Optional, Sequence

import gym
import numpy as np
import pytest

from rl_app.envs import ENVS
from rl_app.envs.contract import vector
from rl_app.envs.contract.checked import Manner
from rl_app.envs.contract.checked_vector import CheckedVector
from rl_app.envs.contract.creation import creator
from rl_app.envs.contract.observations import Reader
from rl_app.envs.contract.trial import try_out_many
from rl_app.envs.vector_cartpole import VectorCartPole
from rl_app.errors import UserError
from rl_app.spaces.description import describe
from tests.app.jobs import Finished, local, run

AT_ONCE = 32
STEPS = 1_000_000


def test_cartpole_is_gyms_to_the_bit() -> None:
    """A million steps, of which most are by a policy that keeps the pole up for a while."""
    many, ones = VectorCartPole(AT_ONCE), [gym.make("CartPole-v1") for _ in range(AT_ONCE)]
    many.seed(7)
    for index, one in enumerate(ones):
        one.seed(7 + index)
    now = np.stack([one.reset() for one in ones])
    assert np.array_equal(many.vector_reset(), now)
    rng, ended, late = np.random.default_rng(0), 0, 0
    for _ in range(STEPS // AT_ONCE):
        balancing = now @ np.array([0.05, 0.1, 1.0, 0.3]) > 0
        actions = np.where(rng.random(AT_ONCE) < np.linspace(0.0, 0.6, AT_ONCE), rng.integers(0, 2, AT_ONCE), balancing)
        observations, rewards, dones, infos = many.vector_step(list(actions))
        steps = [one.step(int(action)) for one, action in zip(ones, actions)]
        now = np.stack([step[0] for step in steps])
        assert np.array_equal(observations, now) and observations.dtype == now.dtype
        assert [(float(r), bool(d), i) for r, d, i in zip(rewards, dones, infos)] == [step[1:] for step in steps]
        for index in np.flatnonzero(dones):
            ended, late = ended + 1, late + len(infos[index])
            now[index] = ones[index].reset()
            assert np.array_equal(many.reset_at(index), now[index])
    assert ended > 1_000 and late > 100


def test_it_is_seeded_as_one_after_the_other() -> None:
    """The environments of one worker, and no two workers' alike."""
    many = creator("CartPole-v1", 3, num_envs=4)({})
    ones = [creator("CartPole-v1", 3)(Context(vector_index=index)) for index in range(4)]
    other = creator("CartPole-v1", 3, num_envs=4)(Context(worker_index=1))

    first = many.vector_reset()

    assert np.array_equal(first, np.stack([one.reset() for one in ones]))
    assert not np.isin(other.vector_reset(), first).any()


class Context(dict):  # type: ignore[type-arg]
    """What RLlib passes to the constructor of an environment."""

    def __init__(self, worker_index: int = 0, vector_index: int = 0) -> None:
        self.worker_index, self.vector_index = worker_index, vector_index


class Steps:
    """A user's own: counts its steps up to ten; ``breaks`` says in what it is wrong."""

    observation_space = gym.spaces.Box(0.0, 10.0, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, num_envs: int = 3, breaks: str = "") -> None:
        self.num_envs, self._breaks = num_envs, breaks
        self._counts = np.zeros(num_envs)

    def vector_reset(self) -> Any:
        self._counts[:] = 0
        return [self._seen(count) for count in self._counts]

    def reset_at(self, index: int) -> Any:
        self._counts[index] = 0
        return self._seen(0.0)

    def vector_step(self, actions: Any) -> Any:
        if self._breaks == "raises":
            raise KeyError("nothing")
        while self._breaks == "hangs":
            pass
        self._counts += 1
        rewards = [float(action) for action in actions][: self.num_envs - (self._breaks == "short")]
        rewards[0] = float("nan") if self._breaks == "nan" else rewards[0]
        seen = [self._seen(count) for count in self._counts]
        seen[1] = {"outside": self._seen(-1.0), "no number": self._seen(float("nan"))}.get(self._breaks, seen[1])
        return np.stack(seen), rewards, [count == 10 for count in self._counts], [{} for _ in rewards]

    def get_unwrapped(self) -> Any:
        return []

    @staticmethod
    def _seen(count: float) -> Any:
        return np.array([count], np.float32)


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        ("raises", "vector_step raised KeyError"),
        ("short", "vector_step gave 2 rewards: expected 3"),
        ("nan", "vector_step gave the reward nan: expected a finite number"),
        ("outside", "vector_step gave an observation outside its space"),
        ("no number", "vector_step gave an observation with nan at [0]"),
        ("hangs", "vector_step did not return in 1 s"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(breaks: str, said: str) -> None:
    strict = Manner(deadline_s=1, strict=True)
    made = creator("mine", None, {"mine": lambda env_config: Steps(breaks=breaks)}, strict, num_envs=0)({})

    with pytest.raises(UserError) as refused:
        try_out_many(made, 0)

    assert str(refused.value).startswith("env = mine: ") and said in str(refused.value)
    assert "test_vector_envs.py:" in str(refused.value)


@pytest.mark.parametrize(
    "space",
    [
        gym.spaces.Box(-1.0, 1.0, (2,), np.float32),
        gym.spaces.Box(-1.0, 1.0, (), np.float64),
        gym.spaces.Box(-1.0, 1.0, (2, 3, 1, 2), np.float16),
        gym.spaces.Box(0, 255, (3, 2), np.uint8),
        gym.spaces.Box(-3, 7, (3,), np.int64),
        gym.spaces.MultiBinary([2, 3]),
        gym.spaces.MultiDiscrete([3, 4]),
    ],
)
@pytest.mark.parametrize("as_rllib", [False, True])
def test_one_array_is_read_as_its_rows_are(space: gym.Space, as_rllib: bool) -> None:
    space.seed(0)
    reader, rows = Reader(describe(space), as_rllib), np.stack([space.sample() for _ in range(5)])

    read, one_by_one = reader.rows(rows), np.stack([reader.read(row) for row in rows])

    assert read.dtype == one_by_one.dtype and np.array_equal(read, one_by_one)
    assert not np.shares_memory(read, rows)
    if space.dtype.kind == "f":
        rows[3] = np.nan
        assert reader.rows(rows) is None


@pytest.mark.parametrize("lacking", ["observation_space", "action_space", "num_envs"])
@pytest.mark.parametrize("num_envs", [None, 0])
def test_what_is_missing_is_named(lacking: str, num_envs: Optional[int]) -> None:
    env = Steps()
    setattr(env, lacking, None)

    with pytest.raises(UserError, match=rf"env = mine: .*{lacking}.*test_vector_envs\.py:"):
        creator("mine", None, {"mine": lambda env_config: env}, num_envs=num_envs)({})


def test_one_of_many_is_played_as_gyms() -> None:
    create = creator("mine", None, {"mine": lambda env_config: Steps()})

    env = create({})

    assert env.reset().tolist() == [0.0]
    played = [env.step(1) for _ in range(10)]
    assert [step[2] for step in played] == [False] * 9 + [True]
    with pytest.raises(UserError, match="num_envs_per_worker = 1: env = mine steps 3 at once; set 3"):
        vector.check(env, "mine", {})
    vector.check(env, "mine", {"num_envs_per_worker": 3})


def test_a_constructor_is_asked_for_as_many_as_the_config_says() -> None:
    def make(env_config: Any, num_envs: int) -> Steps:
        return Steps(num_envs)

    at_once = vector.envs_at_once(make, {"num_envs_per_worker": 5})
    many = creator("mine", None, {"mine": make}, num_envs=at_once)({})

    assert isinstance(many, CheckedVector) and many.num_envs == 5
    assert creator("mine", None, {"mine": make})({}).unwrapped.num_envs == 1
    assert vector.envs_at_once(make, {"num_envs_per_worker": 5, "normalize_actions": True}) is None
    assert vector.envs_at_once(ENVS["CartPole-v1"], {"num_envs_per_worker": 32}) == 32


SOURCE = """
import gym
import numpy as np
from ray.rllib.env import VectorEnv


class Count(VectorEnv):
    observation_space = gym.spaces.Box(0.0, 10.0, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)
    num_envs = 4

    def vector_reset(self):
        self.counts = np.zeros(4)
        return [self.seen(index) for index in range(4)]

    def reset_at(self, index):
        self.counts[index] = 0
        return self.seen(index)

    def vector_step(self, actions):
        self.counts += 1
        return [self.seen(index) for index in range(4)], [float(a) for a in actions], self.counts == 10, [{}] * 4

    def seen(self, index):
        return np.array([self.counts[index]], np.float32)


ENVS = {"Count-v0": lambda env_config: Count()}
"""
EXPERIMENTS = """
EXPERIMENTS = {"count": {"run": "PPO", "env": "Count-v0", "stop": {"training_iteration": 2}, "config": {
    "num_workers": 0, "num_envs_per_worker": 4, "train_batch_size": 200, "rollout_fragment_length": 50,
    "num_sgd_iter": 2}}}
"""


@pytest.mark.parametrize("settings", [(), ("fast=false",), ("config.num_workers=1",)])
def test_a_job_trains_a_vector_env_of_the_user(tmp_path: Path, settings: Sequence[str]) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "envs.py").write_text(SOURCE)
    (source / "experiments.py").write_text(EXPERIMENTS)
    words = ("count", *settings, "--source", str(source), "--job", "mine", "--store", str(tmp_path / "store"))

    ran = run(local(*words))

    assert ran.status == 0, ran
    job = Finished(tmp_path / "store", "mine", ran)
    rows = (job.unpack("output.tar.gz", tmp_path / "output") / "result.json").read_text().splitlines()
    assert [json.loads(row)["timesteps_total"] for row in rows] == [200, 400]
    assert json.loads(rows[-1])["episode_len_mean"] == 10


def test_a_vector_env_of_another_number_is_refused(tmp_path: Path) -> None:
    (tmp_path / "envs.py").write_text(SOURCE)
    (tmp_path / "experiments.py").write_text(EXPERIMENTS)
    words = ("count", "config.num_envs_per_worker=2", "--source", str(tmp_path), "--store", str(tmp_path / "store"))

    ran = run(local(*words))

    assert ran.status == 2 and "env = Count-v0 steps 4 at once; set 4" in ran.stdout, ran
