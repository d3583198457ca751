"""Videos play in a browser and are of the policy they name; making them never holds up or ends the training."""

from __future__ import annotations

import html
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple

import gym
import imageio_ffmpeg
import numpy as np
import psutil
import pytest
from gym import spaces

from rl_app.envs.contract.creation import creator
from rl_app.errors import JobError
from rl_app.policy import videos
from rl_app.policy.policy import Policy
from rl_app.reports.live import VIDEOS
from rl_app.storage import layout
from rl_app.training import recorder, video_process
from rl_app.training.recorder import Recorder
from rl_app.training.spool import SAID
from tests.app.jobs import REPOSITORY
from tests.app.made_models import write_model
from tests.waiting import until

# The process that makes them has the lowest priority, and waits for all others.
pytestmark = pytest.mark.alone
SOON_S = 240


class Probed(NamedTuple):
    duration_s: float
    stream: str


def probe(file: Path) -> Probed:
    """What ffmpeg says of a video."""
    said = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(file)], stderr=subprocess.PIPE, universal_newlines=True
    ).stderr
    stream = next(line for line in said.splitlines() if "Video:" in line)
    hours, minutes, seconds = re.search(r"Duration: (\d+):(\d+):([\d.]+)", said).groups()
    return Probed(3600 * int(hours) + 60 * int(minutes) + float(seconds), stream)


# ---- names


def test_the_newest_sorts_last_and_the_name_tells_iteration_and_reward(tmp_path: Path) -> None:
    rewards = [(2, None), (9, -1234.5), (10, 475.304), (100, -7.0), (120_000, 20_000.0)]
    names = [videos.file_name(*each) for each in rewards]
    assert names == sorted(names)
    assert names[1:3] == ["iteration-000009-reward--1234.50.mp4", "iteration-000010-reward-0475.30.mp4"]
    for name in [*names, ".tmp-iteration-000001-reward-0001.00.mp4", "holiday.mp4"]:
        (tmp_path / name).touch()
    found = [(video.iteration, video.reward) for video in videos.found(tmp_path)]
    assert found == [(2, None), (9, -1234.5), (10, 475.3), (100, -7.0), (120_000, 20_000.0)]


# ---- pictures into a file


def pictures(count: int, height: int, width: int) -> Iterator[np.ndarray]:
    for i in range(count):
        yield np.full((height, width, 3), 10 * i % 256, np.uint8)


def test_it_is_what_every_browser_plays_also_of_odd_sizes(tmp_path: Path) -> None:
    file = tmp_path / "odd.mp4"
    videos.encode(pictures(45, 21, 33), 30.0, file)
    duration_s, stream = probe(file)
    assert duration_s == pytest.approx(1.5, abs=0.05)
    assert "h264" in stream
    assert "yuv420p" in stream
    assert "34x22" in stream
    assert [each.name for each in tmp_path.iterdir()] == ["odd.mp4"]


def test_it_plays_before_it_is_all_there(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    videos.encode(pictures(10, 20, 20), 30.0, file)
    content = file.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_what_goes_wrong_between_two_pictures_leaves_no_file(tmp_path: Path) -> None:
    def failing() -> Iterator[np.ndarray]:
        yield from pictures(3, 20, 20)
        raise KeyError("pole")

    with pytest.raises(KeyError, match="pole"):
        videos.encode(failing(), 30.0, tmp_path / "a.mp4")
    with pytest.raises(JobError, match=r"differ in size: \(20, 20, 3\) and \(20, 24, 3\)"):
        videos.encode([*pictures(1, 20, 20), *pictures(1, 20, 24)], 30.0, tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())


# ---- an episode


class Corridor(gym.Env):
    """Five steps long; what it is drawn as, and with which memory it was walked, is for the tests to see."""

    metadata: Dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012
    observation_space = spaces.Box(-10.0, 10.0, (4,), np.float32)
    action_space = spaces.Discrete(3)
    drawn: Any = np.zeros((16, 16, 3), np.uint8)

    def reset(self) -> np.ndarray:
        self.actions: List[int] = []
        return np.zeros(4, np.float32)

    def step(self, action: int) -> Any:
        self.actions.append(int(action))
        return np.full(4, len(self.actions), np.float32), 1.0, len(self.actions) == 5, {}

    def render(self, mode: str = "human") -> Any:
        if self.drawn is None:
            raise NotImplementedError
        return self.drawn


@pytest.mark.parametrize("memory", [0, 3])
def test_the_policy_plays_with_its_deterministic_action_and_its_memory(tmp_path: Path, memory: int) -> None:
    policy = Policy.load(write_model(tmp_path, memory=memory))
    env = Corridor()
    drawn = list(videos.episode(env, policy))
    expected, state = [], policy.initial_state(1)
    for step in range(5):
        outputs = policy.act(np.full((1, 4), step, np.float32), state)
        state = [outputs[f"state_out_{i}"] for i in range(len(state))]
        expected.append(int(outputs["actions_0"][0]))
    assert env.actions == expected
    assert len(drawn) == 6


def test_steps_are_left_out_but_never_the_last(tmp_path: Path) -> None:
    policy = Policy.load(write_model(tmp_path))
    assert len(list(videos.episode(Corridor(), policy, every=2))) == 1 + 3
    assert len(list(videos.episode(Corridor(), policy, most_steps=2))) == 1 + 2


def test_it_plays_at_the_speed_of_the_environment() -> None:
    assert videos.playback(gym.make("CartPole-v1")) == (2, 25.0)
    assert videos.playback(gym.make("Pendulum-v1")) == (1, 30.0)
    assert videos.playback(Corridor()) == (1, 10.0)


def test_an_environment_that_cannot_be_drawn_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(videos.NotRenderableError, match=r"names no render mode rgb_array \(there: human, ansi\)"):
        videos.playback(gym.make("CliffWalking-v0"))
    policy = Policy.load(write_model(tmp_path))
    for drawn, words in [(None, "not implemented"), ("a pole", "returns str"), (np.zeros((4, 4)), r"\[4, 4\]")]:
        env = Corridor()
        env.drawn = drawn
        with pytest.raises(videos.NotRenderableError, match=words):
            list(videos.episode(env, policy))


def test_an_environment_that_hangs_is_left() -> None:
    began = time.monotonic()
    with pytest.raises(JobError, match="took more than"), video_process.alarm(0.2):
        while time.monotonic() < began + 20:
            pass
    assert time.monotonic() < began + 10


# ---- beside training


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    import ray

    ray.init(num_cpus=2, include_webui=False, log_to_driver=False, ignore_reinit_error=True)
    yield
    ray.shutdown()


def ppo(env: str, **model: Any) -> Any:
    from ray.rllib.agents.registry import get_agent_class

    from rl_app.policy.lstm import with_lstm

    config = {
        "num_workers": 0,
        "simple_optimizer": True,
        "train_batch_size": 64,
        "rollout_fragment_length": 64,
        "sgd_minibatch_size": 64,
        "num_sgd_iter": 1,
        "seed": 1,
        "model": model,
    }
    return get_agent_class("PPO")(env=env, config=with_lstm(config))


@pytest.fixture(scope="module")
def trainer(ray: None) -> Iterator[Any]:
    trainer = ppo("CartPole-v1")
    trainer.train()
    yield trainer
    trainer.stop()


KNOWN = {
    "job": "a-job",
    "experiment": "cartpole",
    "algorithm": "PPO",
    "env": "CartPole-v1",
    "stop": {"training_iteration": 1},
    "settings": [],
    "seed": 1,
    "versions": {},
    "machine": {},
    "host": "algo-1",
    "started": 1_700_000_000.0,
}


def recorder_of(env: str, output: Path, say: Any, stop: bool = False) -> Recorder:
    return Recorder(output, KNOWN, creator(env), say, stop)


class Beside(NamedTuple):
    output: Path
    said: List[str]
    recorder: Recorder

    def made(self) -> List[str]:
        return [video.file.name for video in videos.found(self.output / VIDEOS)]

    def page(self) -> str:
        return (self.output / layout.REPORT).read_text()

    def process(self) -> psutil.Process:
        mine = psutil.Process().children()
        return next(child for child in mine if str(self.output) in child.cmdline())


@pytest.fixture
def beside(tmp_path: Path) -> Beside:
    said: List[str] = []
    return Beside(tmp_path, said, recorder_of("CartPole-v1", tmp_path, said.append))


def has_tensorflow(process: psutil.Process) -> bool:
    """Whether TensorFlow, the half of a gigabyte that it is, is in a process's memory."""
    return any("libtensorflow" in mapped.path for mapped in process.memory_maps())


def test_the_video_and_the_report_are_there_while_it_trains_and_at_the_end(trainer: Any, beside: Beside) -> None:
    with beside.recorder:
        until(lambda: "Starting" in beside.page(), SOON_S)
        assert beside.process().nice() == 19
        autogroup = Path(f"/proc/{beside.process().pid}/autogroup")
        assert not autogroup.exists() or autogroup.read_text().endswith(" nice 19\n")
        assert beside.process().environ()["CUDA_VISIBLE_DEVICES"] == ""
        beside.recorder.offer(trainer, 21.5)
        until(lambda: beside.made() == ["iteration-000001-reward-0021.50.mp4"], SOON_S)
        until(lambda: "iteration 1 · mean reward 21.50" in beside.page(), SOON_S)
        assert not has_tensorflow(beside.process())  # which a network of plain layers is played without
    duration_s, stream = probe(beside.output / "videos" / beside.made()[0])
    assert duration_s > 0.1
    assert "600x400" in stream
    assert '"live":false' in beside.page()
    assert not beside.said
    assert not list(beside.output.rglob(".tmp*"))


def test_a_network_that_numpy_cannot_play_has_its_video_by_tensorflow(ray: None, beside: Beside) -> None:
    trainer = ppo("CartPole-v1", use_lstm=True, lstm_cell_size=4, max_seq_len=8)
    with beside.recorder:
        beside.recorder.offer(trainer, 21.5)
        until(lambda: beside.made() == ["iteration-000000-reward-0021.50.mp4"], SOON_S)
        assert has_tensorflow(beside.process())
    trainer.stop()
    assert not beside.said


def test_the_policy_offered_last_has_its_video_when_the_block_ends(
    trainer: Any, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "LAST_VIDEO_S", SOON_S)  # a machine may be busy with others
    with beside.recorder:
        for reward in (5.0, 300.0, 7.0, None):
            beside.recorder.offer(trainer, reward)
    assert "iteration-000001-reward-none.mp4" in beside.made()
    assert not beside.said


def test_of_those_that_wait_the_best_and_the_latest_have_theirs(trainer: Any, beside: Beside) -> None:
    with beside.recorder:
        for reward in (5.0, 300.0, 7.0, 6.0):
            beside.recorder.offer(trainer, reward)
        wanted = ["iteration-000001-reward-0006.00.mp4", "iteration-000001-reward-0300.00.mp4"]
        until(lambda: beside.made() == wanted, SOON_S)


def test_an_environment_without_a_picture_is_said_once(ray: None, tmp_path: Path) -> None:
    trainer = ppo("CliffWalking-v0")
    said: List[str] = []
    with recorder_of("CliffWalking-v0", tmp_path, said.append) as recorder:
        recorder.offer(trainer, 1.0)
        until((recorder._spool / SAID).exists, SOON_S)
        for _ in range(3):
            recorder.offer(trainer, 1.0)
    trainer.stop()
    (line,) = said
    assert line.startswith("no videos: env = CliffWalking-v0: its metadata names no render mode rgb_array")
    assert not videos.found(tmp_path / VIDEOS)


class Broken(Corridor):
    """What a user's own environment may be like."""

    def reset(self) -> np.ndarray:
        raise ZeroDivisionError("of a user")


def test_an_environment_that_raises_is_said_once(trainer: Any, tmp_path: Path) -> None:
    said: List[str] = []
    create = creator("Broken", None, {"Broken": lambda config: Broken()})
    with Recorder(tmp_path, KNOWN, create, said.append) as recorder:
        recorder.offer(trainer, 1.0)
        until((recorder._spool / SAID).exists, SOON_S)
        recorder.offer(trainer, 2.0)
    (line,) = said
    assert line.startswith("no video of iteration 1: env = Broken: reset raised ZeroDivisionError: of a user (")


def test_training_goes_on_when_the_process_dies(trainer: Any, beside: Beside) -> None:
    with beside.recorder:
        process = beside.process()
        process.kill()
        until(lambda: process.status() == psutil.STATUS_ZOMBIE)
        for _ in range(3):
            beside.recorder.offer(trainer, 1.0)
    (line,) = beside.said
    assert line == "no more videos: the process that makes them ended with status -9; see the log"
    assert "Ended at" in beside.page()


def test_a_policy_that_cannot_be_frozen_is_said_once(beside: Beside) -> None:
    with beside.recorder:
        for _ in range(2):
            beside.recorder.offer(object(), 1.0)
    (line,) = beside.said
    assert line.startswith("no more videos: AttributeError")


def test_the_report_says_how_the_block_ended(tmp_path: Path) -> None:
    with pytest.raises(KeyError), recorder_of("CartPole-v1", tmp_path, print):
        raise KeyError("pole")
    assert "Failed: KeyError: 'pole'" in html.unescape((tmp_path / layout.REPORT).read_text())
    with recorder_of("CartPole-v1", tmp_path, print, stop=True):
        pass
    assert "Stopped before the end" in (tmp_path / layout.REPORT).read_text()


TRAINER_IN_A_PROCESS = f"""
import sys, time
from pathlib import Path
from rl_app.training.recorder import Recorder
with Recorder(Path(sys.argv[1]), {KNOWN!r}, None, print) as recorder:
    print(recorder._process.pid, flush=True)
    sys.stdin.read()
"""


def test_it_dies_with_the_trainer(tmp_path: Path) -> None:
    trainer = subprocess.Popen(
        [sys.executable, "-c", TRAINER_IN_A_PROCESS, str(tmp_path)],
        cwd=str(REPOSITORY),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert trainer.stdin is not None
    assert trainer.stdout is not None
    with trainer.stdin, trainer.stdout:
        beside = int(trainer.stdout.readline())
        until((tmp_path / layout.REPORT).exists, SOON_S)
        os.kill(beside, signal.SIGTERM)  # a stop is the trainer's to take
        assert psutil.pid_exists(beside)
        trainer.kill()
        trainer.wait()
        until(lambda: not psutil.pid_exists(beside), 10)
