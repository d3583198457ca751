"""The line of an iteration, as a person reads it and as the SageMaker SDK's regular expressions do."""

import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from rl_app.job import metric_definitions
from rl_app.terminal.console import Display, compact_line, distances, iteration_line
from tests.pty_run import on_terminal

FLOAT = r"[-+]?[0-9]*[.]?[0-9]+([eE][-+]?[0-9]+)?"  # sagemaker.rl.estimator, RLToolkit.RAY
ROW = {
    "training_iteration": 12,
    "episode_reward_mean": 154.5,
    "episode_reward_min": 9.0,
    "episode_reward_max": 200.0,
    "episodes_total": 1420,
    "timesteps_total": 25600,
    "steps_per_s": 5100.4,
    "time_total_s": 12.73,
}
NOTHING_YET = {**ROW, "episode_reward_mean": None, "episode_reward_min": None, "episode_reward_max": None}
STOP = {"episode_reward_mean": 475, "timesteps_total": 500_000}


@pytest.mark.parametrize("metric, value", [("episode_reward_mean", 154.5), ("episode_reward_max", 200.0)])
def test_the_sdks_metric_definitions_match(metric, value):
    found = re.search(f"{metric}: ({FLOAT})", iteration_line(ROW, STOP))
    assert found and float(found.group(1)) == value


def test_a_person_reads_how_far_it_is():
    line = iteration_line(ROW, STOP)
    for part in (
        "iteration   12",
        "1420 episodes",
        "25600 steps",
        "5100 steps/s",
        "12.7 s",
        "320.50 to go",
    ):
        assert part in line
    assert "solved" in iteration_line({**ROW, "episode_reward_mean": 475.0}, STOP)


def test_before_the_first_episode_ends_no_reward_is_claimed():
    line = iteration_line(NOTHING_YET, STOP)
    assert "no episode has ended yet" in line
    assert "episode_reward" not in line and "nan" not in line.lower() and "None" not in line


def test_the_bar_is_the_condition_that_is_nearest():
    assert distances(ROW, STOP) == {"episode_reward_mean": 154.5 / 475, "timesteps_total": 25600 / 500_000}
    assert distances(NOTHING_YET, {"episode_reward_mean": 475}) == {}


def test_elsewhere_than_on_a_terminal_lines_are_plain_and_never_wrapped():
    stream = io.StringIO()
    with Display(stream, STOP) as display:
        display.iteration(ROW)
    assert stream.getvalue() == iteration_line(ROW, STOP) + "\n"


@pytest.mark.parametrize("columns, bar", [(120, True), (0, False)])
def test_a_bar_is_drawn_only_where_somebody_looks_at_the_terminal(columns, bar, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with os.fdopen(its, "w") as stream, Display(stream, STOP) as display:
        display.iteration(ROW)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert "iteration   12" in shown
    assert ("\x1b[" in shown) == bar


def test_noise_of_every_process_goes_to_the_log_and_progress_to_both(tmp_path):
    program = """
import os, subprocess, sys
from pathlib import Path
from rl_app.terminal.console import Display, capture
with Display(capture(Path(sys.argv[1])), {}) as display:
    os.write(2, b"noise of C++\\n")
    subprocess.run(["echo", "noise of a worker"], check=True)
    display.say("progress")
"""
    log = tmp_path / "train.log"
    done = subprocess.run(
        [sys.executable, "-c", program, str(log)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        check=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        universal_newlines=True,
    )
    assert (done.stdout, done.stderr) == ("progress\n", "")
    assert log.read_text().splitlines() == ["noise of C++", "noise of a worker", "progress"]


PROGRAM = """
import json, logging, os, subprocess, sys, warnings
from pathlib import Path
from rl_app.terminal.console import Display, capture
row, stop = json.loads(sys.argv[2])
with Display(capture(Path(sys.argv[1])), stop) as display:
    display.phase("PPO on CartPole-v1: starting Ray (2 CPUs)")
    warnings.warn("a library's warning")
    logging.getLogger("ray").warning("a logger's warning")
    print("a library's print")
    subprocess.run(["echo", "noise of a worker"], check=True)
    os.write(2, b"noise of C++\\n")
    for number in range(1, 6):
        display.now(f"sampling and training, iteration {number}")
        display.iteration({**row, "training_iteration": number, "time_total_s": 60.0 * number,
                           "timesteps_total": 1000 * number})
    display.phase("exporting the policy of iteration 5, the best checkpoint, with a long word: " + "x" * 200)
"""
NOISE = ("a library's warning", "a logger's warning", "a library's print", "noise of a worker", "noise of C++")


@pytest.mark.parametrize("columns", [80, 160, 0, 40])
def test_on_a_terminal_each_line_comes_once_and_the_log_has_all(columns, tmp_path):
    log = tmp_path / "train.log"
    argument = json.dumps([ROW, {"timesteps_total": 8000}])
    shown = on_terminal([sys.executable, "-c", PROGRAM, str(log), argument], columns, Path.cwd())
    text = log.read_text()
    assert shown.status == 0, shown.raw
    for number in range(1, 6):
        assert sum(line.startswith(f"iteration {number:>4}") for line in shown.lines) == 1, shown.lines
    found = [metric_definitions.found(line).get("training_iteration") for line in text.splitlines()]
    assert [number for number in found if number] == [1, 2, 3, 4, 5]
    assert "\x1b" not in text and "\r" not in text
    for noise in NOISE:
        assert text.count(noise) >= 1 and noise not in shown.raw
    if columns:
        assert max(map(len, shown.lines)) <= columns
        assert "\x1b[" in shown.raw and any("min" in line and "left" in line for line in shown.lines)
    else:
        assert "\x1b" not in shown.raw
        assert [line for line in shown.lines if " steps/s" in line] == [
            line for line in text.splitlines() if " steps/s" in line
        ]


def test_a_line_that_has_room_is_the_whole_one_and_else_what_matters_most_stays():
    assert len(iteration_line(ROW, STOP)) > 80
    assert (
        compact_line(ROW, STOP, 80) == "iteration   12  reward 154.50  320.50 to go  25600 steps  5100 steps/s  12.7 s"
    )
    assert compact_line(ROW, STOP, 50) == "iteration   12  reward 154.50  320.50 to go"
    assert compact_line(NOTHING_YET, STOP, 40) == "iteration   12  no episode has ended yet"
    assert compact_line({**ROW, "episode_reward_mean": 480.0}, STOP, 45) == "iteration   12  reward 480.00  solved"


LEFT_ALONE = """
import sys
from rl_app.terminal.console import person
out = person(sys.stdout)
for line in ("one", "two ±"):
    print(line, file=out)
print("what an environment prints", flush=True)
sys.exit(7)
"""


@pytest.mark.parametrize("output", ["full", "pipe"])
def test_what_nobody_reads_does_no_harm(output: str) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with open("/dev/full", "w") as full, os.fdopen(theirs, "w") as pipe:
        to = full if output == "full" else pipe
        done = subprocess.run([sys.executable, "-c", LEFT_ALONE], stdout=to, stderr=subprocess.PIPE, timeout=60)
    assert (done.returncode, done.stderr) == (7, b"")


def test_what_an_output_has_no_letter_for_is_replaced() -> None:
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", LEFT_ALONE], stdout=subprocess.PIPE, env=environ, timeout=60)
    assert done.stdout == b"one\ntwo ?\nwhat an environment prints\n"
