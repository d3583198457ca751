"""An evaluation on a terminal, which is a real one, and piped."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import List

import gym
import pytest
from gym import spaces

from tests.app.jobs import REPOSITORY, run
from tests.app.made_models import write_model
from tests.pty_run import all_sent_to

EPISODES = 30


@pytest.fixture
def command(tmp_path: Path) -> List[str]:
    observations = gym.make("CartPole-v1").observation_space
    model = write_model(tmp_path / "made", observations, spaces.Discrete(2), env="CartPole-v1", env_config={})
    words = [str(model), "--episodes", str(EPISODES), "videos=0", "--store", str(tmp_path / "store")]
    return [sys.executable, "-m", "rl_app", "local", "evaluate", *words]


def on_terminal(command: List[str], columns: int) -> str:
    """What a terminal of that width is sent; one of none has no size, as some programs make them."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24 if columns else 0, columns, 0, 0))
    environ = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        command,
        cwd=str(REPOSITORY),
        env={**environ, "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    sent = all_sent_to(ours)
    assert process.wait(60) == 0, sent.decode()
    return sent.decode()


@pytest.mark.parametrize("columns", [80, 160])
def test_on_a_terminal_there_are_a_bar_and_a_table(command: List[str], columns: int) -> None:
    sent = on_terminal(command, columns)
    assert "Episode reward" not in sent
    assert f"{EPISODES}/{EPISODES}" in sent
    kept = [
        line for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", sent).replace("\r", "\n").split("\n") if line.strip()
    ]
    kept = [line for line in kept if not line.startswith("episodes ")]
    row = next(after for line, after in zip(kept, kept[1:]) if line.split()[:2] == ["episodes", "mean"])
    mean = row.split()[2]
    assert row.split()[1] == str(EPISODES)
    assert [line for line in kept if mean in line and line != row] == []
    assert len(kept) < 12


def test_piped_there_is_a_line_an_episode_and_no_bar(command: List[str]) -> None:
    ran = run(command)
    assert ran.status == 0, ran
    assert ran.stdout.count("Episode reward: ") == EPISODES
    assert ran.stdout.count("Mean Reward: ") == 1
    assert "\x1b" not in ran.stdout


def test_a_terminal_without_a_size_is_a_log(command: List[str]) -> None:
    assert on_terminal(command, 0).count("Episode reward: ") == EPISODES
