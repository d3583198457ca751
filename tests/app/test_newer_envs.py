"""Environments written for Gym 0.26 or Gymnasium are trained and evaluated; what was cut is told from what ended."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import gym
import numpy as np
import pytest
from gym import spaces

from rl_app.job.hyperparameters import parse
from rl_app.machine import Machine
from rl_app.policy.videos import found
from rl_app.reports.live import VIDEOS
from tests.app.jobs import Finished, Ran, local, run
from tests.app.test_evaluate import evaluation

HERE = Path(__file__).parent
OURS, GYMNASIUMS = HERE / "newer", HERE / "gymnasiums"
LINE = "env = {} is written for Gym 0.26 or Gymnasium, and adapted to RLlib 0.8.5; truncated episodes {}"
GO_ON = "go on in the value that is expected after them"


def train(store: Path, source: Path, *words: str) -> Ran:
    return run(local(*words, "--source", str(source), "--job", "newer", "--store", str(store)))


def evaluated(store: Path) -> Dict[str, Any]:
    """What the evaluation of the job tells of it, of five episodes and one video."""
    asked = ("newer", "--episodes", "5", "videos=1", "--job", "played", "--store", str(store))
    played = run(evaluation(*asked))
    assert played.status == 0, played
    output = Finished(store, "played", played).unpack("output.tar.gz", store / "played-output")
    (about,) = json.loads((output / "evaluation.json").read_text())["models"]
    return about


def test_one_of_our_own_is_trained_drawn_and_evaluated_and_that_is_said_once(tmp_path: Path) -> None:
    ran = train(tmp_path, OURS, "lamps")
    assert ran.status == 0, ran
    assert ran.stdout.count(LINE.format("lamps", GO_ON)) == 1 and ran.stdout.count("written for Gym 0.26") == 1, ran
    output = Finished(tmp_path, "newer", ran).unpack("output.tar.gz", tmp_path / "output")
    assert found(output / VIDEOS), ran
    about = evaluated(tmp_path)
    assert all(4 <= each["length"] <= 20 for each in about["episodes"]) and len(about["videos"]) == 1, about


@pytest.mark.parametrize(
    "words, told",
    [
        (["lamps", "config.num_workers=1"], GO_ON),
        (["lamps-impala"], "count as ended in IMPALA: V-trace"),
    ],
    ids=["PPO", "IMPALA"],
)
def test_workers_have_it_adapted_too(words: List[str], told: str, tmp_path: Path) -> None:
    ran = train(tmp_path, OURS, *words)
    assert ran.status == 0, ran
    assert ran.stdout.count(LINE.format("lamps", told)) == 1, ran


def test_one_that_is_not_made_to_be_drawn_has_no_videos_which_is_said_once(tmp_path: Path) -> None:
    ran = train(tmp_path, OURS, "lamps-unseen")
    assert ran.status == 0, ran
    line = "no videos: env = lamps-unseen: its render_mode is None: a parameter render_mode"
    assert ran.stdout.count("no videos: ") == ran.stdout.count(line) == 1, ran


# ---- Gymnasium itself, which a source's requirements bring


@pytest.mark.parametrize("name, most", [("tank", 25), ("flat", 25), ("gymnasium-cartpole", 30)])
def test_one_of_gymnasiums_in_its_own_wrappers_is_trained_and_evaluated(name: str, most: int, tmp_path: Path) -> None:
    ran = train(tmp_path, GYMNASIUMS, name)
    assert ran.status == 0, ran
    assert ran.stdout.count(LINE.format(name, GO_ON)) == 1, ran
    about = evaluated(tmp_path)
    assert all(0 < each["length"] <= most for each in about["episodes"]), about
    assert len(about["videos"]) == (name != "flat"), about


@pytest.mark.parametrize(
    "name, said",
    [
        ("many", "env = many: its SyncVectorEnv steps many at once, as only Gymnasium does: expected one, "),
        ("words", "env = words: its observation_space Text("),
    ],
)
def test_what_gym_does_not_have_of_it_is_refused(name: str, said: str, tmp_path: Path) -> None:
    ran = train(tmp_path, GYMNASIUMS, name)
    assert ran.status == 2 and said in ran.stdout + ran.stderr, ran


SPACES = """
import sys
from pathlib import Path
from rl_app.job.user_code import install_requirements
install_requirements(Path(sys.argv[1]), Path(sys.argv[2]))

import gym
import numpy as np
from gymnasium import spaces
from rl_app.envs.contract.newer_spaces import converted
from rl_app.spaces.description import describe

box = spaces.Box(np.array([-1.0, -np.inf]), np.array([2.0, 3.0]), dtype=np.float64)
each = [box, spaces.Box(0, 255, (2, 3, 1), np.uint8), spaces.Discrete(3), spaces.Discrete(4, start=-2),
        spaces.MultiDiscrete([2, 5]), spaces.MultiDiscrete(np.array([[2, 3], [4, 5]])), spaces.MultiBinary(3),
        spaces.MultiBinary([2, 2])]
each += [spaces.Tuple(each), spaces.Dict({"z": each[0], "a": spaces.Dict({"inner": each[3]})})]
for space in each:
    assert isinstance(converted(space), gym.Space) and describe(converted(space)) == describe(space), space
print("all", len(each))
"""


def test_spaces_of_gymnasiums_become_gyms(tmp_path: Path) -> None:
    ran = run([sys.executable, "-c", SPACES, str(GYMNASIUMS), str(tmp_path)])
    assert ran.status == 0 and ran.stdout.endswith("all 10\n"), ran


# ---- truncation


class Cut(gym.Env):  # type: ignore[misc]  # gym has no types
    """Each second episode ends at its third step, the others are cut there; an observation tells nothing of it."""

    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)

    def __init__(self, actions: gym.Space) -> None:
        self.action_space, self.episodes = actions, 0

    def reset(self, seed: Optional[int] = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.episodes, self.steps = self.episodes + 1, 0
        return self.seen(), {}

    def step(self, action: Any) -> Tuple[Any, ...]:
        self.steps += 1
        last, odd = self.steps == 3, self.episodes % 2 == 1
        return self.seen(), 1.0, last and odd, last and not odd, {"ends": last and odd, "cut": last and not odd}

    def seen(self) -> Any:
        return self.np_random.uniform(-1, 1, 2).astype(np.float32)


class Learner(NamedTuple):
    """An algorithm, and whether its batches have the values that it learns from."""

    run: str
    valued: bool
    actions: gym.Space
    config: Dict[str, Any]
    settings: Dict[str, str]


CHOICE, TORQUE = spaces.Discrete(2), spaces.Box(-1.0, 1.0, (1,), np.float32)
SMALL = {"num_workers": 0, "rollout_fragment_length": 40, "train_batch_size": 40, "model": {"fcnet_hiddens": [8]}}
PPO = {**SMALL, "sgd_minibatch_size": 20, "simple_optimizer": True, "num_envs_per_worker": 2}
REPLAY = {"num_workers": 0, "rollout_fragment_length": 40, "learning_starts": 10}
LEARNERS = {
    "PPO": Learner("PPO", True, CHOICE, PPO, {}),
    "PPO, whole episodes": Learner("PPO", True, CHOICE, {**PPO, "batch_mode": "complete_episodes"}, {}),
    "PPO, RLlib's own sampler": Learner("PPO", True, CHOICE, PPO, {"fast": "false"}),
    "A2C": Learner("A2C", True, CHOICE, SMALL, {}),
    "MARWIL": Learner("MARWIL", False, CHOICE, {**SMALL, "replay_buffer_size": 500}, {}),
    "DQN": Learner("DQN", False, CHOICE, REPLAY, {}),
    "DDPG": Learner("DDPG", False, TORQUE, REPLAY, {}),
    "SAC": Learner("SAC", False, TORQUE, REPLAY, {}),
}


@pytest.fixture(params=LEARNERS.values(), ids=list(LEARNERS))
def learner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tuple[Learner, Any]]:
    from rl_app.training import ray_runtime
    from rl_app.training.trial import Trial, build_trainer

    learner, machine = request.param, Machine(2, 0)
    experiment = {"run": learner.run, "env": "cut", "config": learner.config}
    job = parse({"experiment": "cut", "seed": "1", **learner.settings}, machine, {"cut": experiment})
    with ray_runtime.imported(machine, 0):
        agent = build_trainer(Trial(job, {"cut": lambda env_config: Cut(learner.actions)}), tmp_path)
        yield learner, agent
        agent.stop()


def test_what_was_cut_goes_on_in_its_value_and_what_ended_does_not(learner: Tuple[Learner, Any]) -> None:
    about, agent = learner
    worker = agent.workers.local_worker()
    batch = worker.sample()
    ends, cuts = (rows(batch["infos"], name) for name in ("ends", "cut"))
    assert ends and cuts
    assert batch["dones"][ends].all() and not batch["dones"][cuts].any()
    if about.valued:
        policy = agent.get_policy()
        after = [policy._value(*(batch[name][row] for name in ("new_obs", "actions", "rewards"))) for row in cuts]
        expected = 1.0 + policy.config["gamma"] * np.ravel(after)
        np.testing.assert_allclose(batch["value_targets"][ends], 1.0, rtol=0, atol=1e-5)
        np.testing.assert_allclose(batch["value_targets"][cuts], expected, rtol=0, atol=1e-5)
        assert (np.abs(expected - 1.0) > 1e-4).any()


def rows(infos: Any, name: str) -> List[int]:
    return [index for index, info in enumerate(infos) if info[name]]
