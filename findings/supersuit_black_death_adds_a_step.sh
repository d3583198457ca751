#!/usr/bin/env bash
# What happens: black_death_v3 of SuperSuit 3.11.0 lets an episode go on for a step after its end. Of five steps that end by
#   truncation it makes six: the fifth is neither truncated nor terminated, the sixth has observations of zeros, rewards of 0
#   and is both terminated and truncated, for all agents. It is the same where the agents terminate.
# One would have guessed: agents that are dead are given zeros for as long as others live, as the documentation says; where all
#   end at the same time, nothing changes.
# Where it matters: the true last observation is no end any more, and the end is an observation the environment never gave;
#   with terminated set, the value behind a time limit is 0 instead of an estimate. Each agent has one more row an episode,
#   as many again where episodes are one step long. Training with one policy needs the wrapper wherever agents can die.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'supersuit==3.11.0' 'pettingzoo==1.27.0' 'gymnasium==1.4.0' 'numpy==2.4.6'
cd "$work"
cat > check.py <<'PYTHON'
import sys

import numpy as np
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv
from pettingzoo.test import parallel_api_test
from supersuit import black_death_v3


class Pair(ParallelEnv):
    """Give two agents their step and a reward of 1, five times; then truncate or terminate both."""

    metadata = {"name": "pair"}
    possible_agents = ["one", "two"]
    observation_spaces = {agent: Box(0, 5, (1,), np.float32) for agent in possible_agents}
    action_spaces = {agent: Discrete(2) for agent in possible_agents}

    def __init__(self, truncates):
        self.truncates, self.agents, self.taken = truncates, [], 0

    def observation_space(self, agent):
        return self.observation_spaces[agent]

    def action_space(self, agent):
        return self.action_spaces[agent]

    def reset(self, seed=None, options=None):
        self.agents, self.taken = list(self.possible_agents), 0
        return {agent: np.zeros(1, np.float32) for agent in self.agents}, {agent: {} for agent in self.agents}

    def step(self, actions):
        self.taken += 1
        end = self.taken == 5
        values = np.full(1, self.taken, np.float32), 1.0, end and not self.truncates, end and self.truncates, {}
        given = tuple({agent: value for agent in self.agents} for value in values)
        self.agents = [] if end else self.agents
        return given


def rows(env):
    """Play an episode; give observation, reward, terminated and truncated of the first agent at each step."""
    env.reset(seed=1)
    seen = []
    while env.agents:
        *values, _ = env.step({agent: 0 for agent in env.agents})
        seen.append(tuple(np.asarray(value["one"]).item() for value in values))
    return seen


parallel_api_test(Pair(True), num_cycles=20)
plain, wrapped, terminated = rows(Pair(True)), rows(black_death_v3(Pair(True))), rows(black_death_v3(Pair(False)))
print(f"as it is: {plain}\nwrapped:  {wrapped}\nwrapped, terminated: {terminated}")
added = [(5.0, 1.0, False, False), (0.0, 0.0, True, True)]
sys.exit(not (plain[4:] == [(5.0, 1.0, False, True)] and wrapped[4:] == added and terminated[4:] == added))
PYTHON
env/bin/python check.py
