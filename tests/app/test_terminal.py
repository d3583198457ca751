"""What a person sees of a job on a real terminal, and what of it is in its log."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.app.jobs import REPOSITORY
from tests.pty_run import Shown, on_terminal

# Iterations of some tenths of a second, so that the bar, which is drawn anew some times a second, is seen in them
SHORT = ("stop.training_iteration=2", "config.timesteps_per_iteration=30000", "seed=1")


def train(columns: int, store: Path) -> Shown:
    """`scripts/train` in a process."""
    words = ["scripts/train", "cartpole", *SHORT, "--engine", "process", "--job", "seen", "--store", str(store)]
    return on_terminal(words, columns, REPOSITORY)


@pytest.mark.parametrize("columns", [80, 160, 0])
def test_a_job_on_a_terminal_says_each_thing_once_and_logs_its_iterations(columns: int, tmp_path: Path) -> None:
    shown = train(columns, tmp_path)
    log = (tmp_path / "seen/output/intermediate/train.log").read_text()
    assert shown.status == 0, shown.raw
    for number in (1, 2):
        assert sum(line.startswith(f"iteration {number:>4} ") for line in shown.lines) == 1, shown.lines
        assert len(re.findall(f"^iteration +{number}  .* episodes  .* steps/s", log, re.MULTILINE)) == 1
    assert "\x1b" not in log and "\r" not in log
    for noise in ("WARNING", "Warning", "tensorflow", "Gym has been unmaintained", "Traceback"):
        assert noise not in shown.raw
    assert "Gym has been unmaintained" in log
    if columns:
        of_the_job = [line for line in shown.lines if str(tmp_path) not in line and not line.startswith("  next")]
        assert max(map(len, of_the_job)) <= columns, shown.lines
        for doing in ("starting (", "building the trainer", "sampling and training, iteration ", "exporting"):
            assert doing in shown.raw
        curve = on_terminal(["scripts/watch", "seen", "--store", str(tmp_path)], columns, REPOSITORY)
        assert curve.status == 0
        assert re.search("episode_reward_mean  [0-9.]+ [▁▂▃▄▅▆▇█]{2} [0-9.]+$", "\n".join(curve.lines), re.MULTILINE)
    else:
        assert "\x1b[" not in shown.raw
