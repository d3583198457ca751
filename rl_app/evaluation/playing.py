"""The episodes that a candidate plays."""

from __future__ import annotations

import math
import time
from typing import Any, Dict, Optional

from rl_app.evaluation.agents import by_policy
from rl_app.evaluation.candidate import Say
from rl_app.evaluation.rollouts import Episode, Rollout
from rl_app.job.settings import Evaluation
from rl_app.policy.episodes import seeds, steps
from rl_app.stopping.stop_request import StopRequest
from rl_app.terminal.episode_bar import Display

EPISODE_GRACE_S = 10.0
"""How long an episode may go on after a stop was asked for."""
PROGRESS_S = 10.0
"""After how long an episode that goes on is said to."""
ENDLESS_STEPS = 1000
"""After how many steps an episode is cut where training has seen none end, and nothing else is asked for."""


# ---- playing


def play(rollout: Rollout, settings: Evaluation, stop: StopRequest, display: Display) -> None:
    """Play the episodes, up to the one in which it is stopped; where piped, in the words of AWS's script."""
    facts, kind = rollout.facts, "best" if settings.deterministic else "sampled"
    env = settings.env or facts["env"]
    display.say(f"{rollout.candidate.name}: {facts['algorithm']} in {env}, {kind} actions, played by {rollout.engine}")
    if is_endless(rollout, settings):
        display.say(
            f"{rollout.candidate.name}: training saw no episode end, so each is cut after {ENDLESS_STEPS} steps: "
            "max_steps=N sets another number"
        )
    with display.playing(settings.evaluate_episodes) as told:
        for seed in seeds(settings.seed, settings.evaluate_episodes):
            episode = None if stop else played(rollout, seed, settings, stop, display.say)
            if episode is None:
                display.say(f"stopped as asked, after {len(rollout.episodes)} of {settings.evaluate_episodes} episodes")
                break
            rollout.episodes.append(episode)
            told(episode.reward, episode.length)


def played(rollout: Rollout, seed: int, settings: Evaluation, stop: StopRequest, say: Say) -> Optional[Episode]:
    """Return one episode; None where a stop was asked for and it did not end soon."""
    reward, step, deadline, saying = 0.0, None, math.inf, time.monotonic() + PROGRESS_S
    by_agent: Dict[Any, float] = {}
    for step in steps(rollout.env, rollout.player, seed, most_steps(rollout, settings)):
        reward += step.reward
        for agent, given in step.by_agent.items():
            by_agent[agent] = by_agent.get(agent, 0.0) + given
        if time.monotonic() > saying:
            saying += PROGRESS_S
            going_on = f"episode {len(rollout.episodes) + 1} goes on: {step.number} steps, reward {reward:.2f} so far"
            say(f"{going_on}; max_steps=N cuts it after N")
        if stop and not step.done:
            deadline = min(deadline, time.monotonic() + EPISODE_GRACE_S)
            if time.monotonic() > deadline:
                return None
    assert step is not None
    return Episode(seed, reward, step.number, not step.done, by_policy(rollout.player, by_agent))


def most_steps(rollout: Rollout, settings: Evaluation) -> Optional[int]:
    """After how many steps an episode is cut; as in the training, where nothing else is asked for."""
    asked = settings.max_steps or rollout.candidate.params.get("horizon")
    return ENDLESS_STEPS if is_endless(rollout, settings) else asked


def is_endless(rollout: Rollout, settings: Evaluation) -> bool:
    """Return whether nobody would end an episode, as far as the training has seen."""
    limit = getattr(getattr(rollout.env.unwrapped, "spec", None), "max_episode_steps", None)
    asked = settings.max_steps or rollout.candidate.params.get("horizon") or limit
    return not asked and rollout.facts.get("training", {}).get("episodes_total") == 0
