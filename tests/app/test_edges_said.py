"""What is done for an environment at the edge of what is possible is said, once."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Tuple

import pytest

from tests.app.edge_jobs import ANGLES, HERE, everywhere, train
from tests.app.jobs import Finished, local, run
from tests.app.test_evaluate import evaluation


@pytest.mark.parametrize("name", ["strays", "rarely"])
@pytest.mark.parametrize("workers", ["0", "1"])
def test_what_lies_outside_its_space_is_trained_on_and_said_once(name: str, workers: str, tmp_path: Path) -> None:
    ran = train(tmp_path, name, f"config.num_workers={workers}")
    assert ran.status == 0, ran
    line = (
        rf"env = {name}: step gave an observation outside its space Box\(.*\): [37]\.0 at \[0\]{HERE}; .*strict_spaces"
    )
    assert len(re.findall(line, ran.stdout)) == 1, ran


def test_a_dtype_that_can_be_cast_is_and_that_is_said_once(tmp_path: Path) -> None:
    ran = train(tmp_path, "doubles")
    assert ran.status == 0, ran
    assert (
        ran.stdout.count("env = doubles: reset gave float64 observations, which are cast to float32 (envs.py:") == 1
    ), ran


def test_nothing_in_info_is_as_good_as_a_dict(tmp_path: Path) -> None:
    assert train(tmp_path, "noinfo").status == 0


def test_numbers_of_numpy_in_info_are_written_with_the_samples(tmp_path: Path) -> None:
    ran = train(tmp_path, "numpyinfo", f"config.output={tmp_path / 'samples'}")
    assert ran.status == 0, ran
    (file,) = (tmp_path / "samples").glob("*.json")
    batch = json.loads(file.read_text().splitlines()[0])
    assert batch["infos"][0] == {"count": 1, "path": [0, 1]}


def test_128_numbers_are_said_to_be_scaled(tmp_path: Path) -> None:
    ran = train(tmp_path, "ram")
    assert ran.stdout.count("env = ram: RLlib takes a Box of 128 numbers for an Atari machine's memory") == 1, ran


THROTTLE = """
import gym
import numpy as np

class Throttle(gym.Env):
    observation_space = gym.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gym.spaces.Box(0, 1, (1,), np.float32)

    def reset(self):
        self.steps = 0
        return np.zeros(1, np.float32)

    def step(self, action):
        self.steps += 1
        return np.zeros(1, np.float32), float(action[0]), self.steps == 20, {"action": float(action[0])}

ENVS = {"throttle": lambda config: Throttle()}
"""


@pytest.mark.parametrize(("normalized", "least"), [("true", 0.5), ("false", 0.0)])
def test_actions_of_which_rllib_chooses_a_part_alone_are_said(normalized: str, least: float, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "envs.py").write_text(THROTTLE)
    settings = ["run=PPO", "env=throttle", "config={}", "stop.training_iteration=1", "config.train_batch_size=400"]
    settings += [f"config.normalize_actions={normalized}", f"config.output={tmp_path / 'samples'}"]
    ran = run(local(*settings, "--source", str(tmp_path / "source"), "--store", str(tmp_path / "store")))
    assert ran.status == 0, ran
    lines = [line for file in (tmp_path / "samples").glob("*.json") for line in file.read_text().splitlines()]
    taken = [info["action"] for line in lines for info in json.loads(line)["infos"]]
    assert (min(taken), max(taken)) == (least, 1.0)
    line = "env = throttle: of actions from 0 to 1 RLlib's normalize_actions chooses 0.5 to 1 alone; config.normalize"
    assert ran.stdout.count(line) == (normalized == "true"), ran


def test_settings_that_are_no_json_are_shown(tmp_path: Path) -> None:
    trained = everywhere(tmp_path, "angles", source=ANGLES)
    output = Finished(tmp_path, "edge", trained.ran).unpack("output.tar.gz", tmp_path / "output")
    assert "experiments.Angles" in (output / "report.html").read_text()


def test_an_episode_without_end_is_cut_and_said_to_go_on(tmp_path: Path) -> None:
    trained = everywhere(tmp_path, "endless")
    assert len(trained.rewards) == 3
    asked = ("edge", "--episodes", "1", "videos=0", "--store", str(tmp_path))
    ran = run(evaluation(*asked, "--job", "cut"))
    line = "edge: training saw no episode end, so each is cut after 1000 steps: max_steps=N sets another number"
    assert line in ran.stdout.splitlines()
    assert "Episode steps: 1000" in ran.stdout
    ran = run(evaluation(*asked, "--job", "slow", 'env_config={"pause_s":0.3}', "max_steps=40"))
    assert re.search(
        r"^episode 1 goes on: \d+ steps, reward \d+\.\d\d so far; max_steps=N cuts it after N$", ran.stdout, re.M
    )
    assert "Episode steps: 40" in ran.stdout


FILTERED = ("constant", "config.observation_filter=MeanStdFilter")


def test_a_feature_that_never_changed_is_said_at_export(tmp_path: Path) -> None:
    ran = train(tmp_path, *FILTERED)
    assert ran.status == 0, ran
    assert "observation_filter: 1 of 3 features never changed in training (1): any other value" in ran.stdout


def test_a_filter_is_clipped_where_that_is_asked_for(tmp_path: Path) -> None:
    trained = everywhere(tmp_path, *FILTERED, "filter_clip=5")
    assert "never changed" not in trained.ran.stdout
    assert trained.facts["observation_filter"]["clip"] == 5.0
    asked = ("edge", "--episodes", "3", "videos=0", "restore=true", "--job", "restored", "--store", str(tmp_path))
    ran = run(evaluation(*asked))
    assert ran.status == 0, ran
    output = Finished(tmp_path, "restored", ran).unpack("output.tar.gz", tmp_path / "restored-output")
    (found,) = json.loads((output / "evaluation.json").read_text())["models"]
    assert [each["reward"] for each in found["episodes"]] == trained.rewards


@pytest.mark.parametrize("words", [("constant", "filter_clip=5"), (*FILTERED, "filter_clip=0")])
def test_a_clip_without_a_filter_or_of_nothing_is_refused(words: Tuple[str, ...], tmp_path: Path) -> None:
    ran = train(tmp_path, *words)
    assert ran.status == 2, ran
    assert "filter_clip = " in ran.stderr
    assert (
        "must be more than 0, with config.observation_filter = MeanStdFilter or ConcurrentMeanStdFilter" in ran.stderr
    )


def test_a_restarted_job_says_what_it_has_lost(tmp_path: Path) -> None:
    words = ("cartpole-dqn", "config.timesteps_per_iteration=100", "config.learning_starts=50", "replay_mb=0")
    assert run(local(*words, "stop.training_iteration=1", "--job", "dqn", "--store", str(tmp_path))).status == 0
    ran = run(local("--resume", "dqn", "stop.training_iteration=2", "--store", str(tmp_path)))
    assert ran.status == 0, ran
    assert "in no checkpoint, and new: the replay buffer, which starts empty" in ran.stdout
