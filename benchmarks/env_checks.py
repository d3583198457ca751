#!/usr/bin/env python3
"""What the checks of an environment's every word cost: microseconds a step, and the share of a step of RLlib's.

usage: benchmarks/env_checks.py [STEPS]      (default: 200000)

Each environment is stepped bare and as RLlib is given it, in turns, and the least of seven turns counts: whatever else
the machine does only adds. RLlib's own step is that of its sampler with PPO's network, one environment, no worker.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any, Dict, List, Tuple

if __name__ == "__main__":
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import measuring

TURNS = 7
PROGRAM = [
    str(measuring.REPOSITORY / ".venv" / "bin" / "python"),
    "-W",
    "ignore",
    "-m",
    "benchmarks.env_checks",
    "--in",
]


def main(steps: int) -> None:
    """Sets up, and measures in the environment of the image."""
    measuring.set_up()
    subprocess.run([*PROGRAM, str(steps)], cwd=measuring.REPOSITORY, check=True)


def measured(steps: int) -> None:
    """Prints the table."""
    rows = []
    for name, make in environments().items():
        bare, checked = compared(*make(), steps)
        rows.append([name, f"{bare:.2f}", f"{checked:.2f}", f"{checked - bare:.2f}"])
    print(measuring.markdown(["", "bare, µs", "as RLlib has it, µs", "checks, µs"], rows))
    print(f"\nCartPole-v1, a step of RLlib's sampler with PPO: {sampled():.0f} µs")


def environments() -> Dict[str, Any]:
    """Of each its name, and what makes it bare and checked, with an action for each."""
    import gym
    import numpy as np
    from gym import spaces

    from rl_app.envs.contract.creation import creator

    class Still(gym.Env):
        """Does nothing, so that nothing but the checks takes time."""

        def __init__(self, observations: gym.Space, actions: gym.Space) -> None:
            self.observation_space, self.action_space = observations, actions
            self.observation = observations.sample()

        def reset(self) -> Any:
            return self.observation

        def step(self, action: Any) -> Tuple[Any, float, bool, Dict[str, Any]]:
            return self.observation, 1.0, False, {}

    def still(observations: gym.Space, actions: gym.Space) -> Any:
        def make() -> Tuple[gym.Env, gym.Env, Any, Any]:
            env = Still(observations, actions)
            checked = creator("still", envs={"still": lambda env_config: env})({})
            return env, checked, actions.sample(), checked.action_space.sample()

        return make

    def cartpole() -> Tuple[gym.Env, gym.Env, Any, Any]:
        return gym.make("CartPole-v1"), creator("CartPole-v1")({}), 0, 0

    two = spaces.Discrete(2)
    box = spaces.Box(-1.0, 1.0, (8,), np.float32)
    both = spaces.Dict({"at": box, "which": spaces.Discrete(4, start=1)})
    return {
        "CartPole-v1": cartpole,
        "8 floats, Discrete": still(box, two),
        "8 floats, Box of 2": still(box, spaces.Box(-1.0, 1.0, (2,), np.float32)),
        "Dict of 8 floats and a Discrete": still(both, two),
        "picture of 84 x 84 x 4": still(spaces.Box(0, 255, (84, 84, 4), np.uint8), two),
    }


def compared(bare: Any, checked: Any, bare_action: Any, action: Any, steps: int) -> Tuple[float, float]:
    """Microseconds a step of both."""
    turns = [(timed(bare, bare_action, steps), timed(checked, action, steps)) for _ in range(TURNS)]
    return min(turn[0] for turn in turns), min(turn[1] for turn in turns)


def timed(env: Any, action: Any, steps: int) -> float:
    """Microseconds of the processor for a step: other work on the machine adds less to those than to a clock's."""
    env.reset()
    begun = time.thread_time()
    for _ in range(steps // TURNS):
        if env.step(action)[2]:
            env.reset()
    return 1e6 * (time.thread_time() - begun) / (steps // TURNS)


def sampled() -> float:
    """Microseconds a step of RLlib's sampler, of which the environment's is part."""
    import tempfile
    from pathlib import Path

    from rl_app.job.hyperparameters import parse
    from rl_app.machine import Machine
    from rl_app.training import ray_runtime
    from rl_app.training.trial import Trial, build_trainer

    config = {"num_workers": 0, "rollout_fragment_length": 2000, "simple_optimizer": True}
    job = parse({"experiment": "one"}, Machine(2, 0), {"one": {"run": "PPO", "env": "CartPole-v1", "config": config}})
    with ray_runtime.running(Machine(2, 0)), tempfile.TemporaryDirectory() as folder:
        agent = build_trainer(Trial(job, {}), Path(folder))
        try:
            times: List[float] = []
            for _ in range(TURNS):
                begun = time.perf_counter()
                count = agent.workers.local_worker().sample().count
                times.append(1e6 * (time.perf_counter() - begun) / count)
            return min(times)
        finally:
            agent.stop()


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--in"]
    (measured if "--in" in sys.argv else main)(int(words[0]) if words else 200_000)
