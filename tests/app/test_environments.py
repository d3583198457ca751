"""The watch over calls of environments: who hangs is told from who is slow, and from who was paused."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

from tests.app.jobs import REPOSITORY
from tests.waiting import until

SLOW = """
import gym
from rl_app.envs.contract.checked import CheckedEnv, Manner
from rl_app.envs.contract.watchdog import WATCHDOG

class Slow(gym.Env):
    observation_space = action_space = gym.spaces.Discrete(2)

    def step(self, action):
        print("in step", flush=True)
        for _ in range(20):
            __import__("time").sleep(0.1)
        return 0, 0.0, True, {}

WATCHDOG.start()
CheckedEnv(Slow(), "slow", Manner(deadline_s=4)).step(0)
print("returned", flush=True)
"""


def test_a_call_that_was_paused_has_not_hung() -> None:
    with subprocess.Popen([sys.executable, "-c", SLOW], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "in step\n"
        process.send_signal(signal.SIGSTOP)
        paused = time.monotonic()
        until(lambda: time.monotonic() - paused > 6, 10)  # longer than the deadline
        process.send_signal(signal.SIGCONT)
        assert process.stdout.read() == "returned\n"
    assert process.returncode == 0
