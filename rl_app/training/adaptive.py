"""What adapts while an agent trains and is in no checkpoint of RLlib 0.8.5, kept beside each checkpoint.

RLlib keeps a policy's weights. All else that TensorFlow holds of it starts anew: the KL coefficient, the moments of
the optimizers, the clocks of exploration and schedules. Here every variable of the policy's graph is kept, as arrays:
reading them runs no code, as reading a pickle does. Not kept: TensorFlow's own random generators, which cannot be
read. Replay buffers, which may be of gigabytes, have a file of their own.
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from rl_app.errors import UserError
from rl_app.job.agents import ONE
from rl_app.training import replay

VARIABLES, COEFFICIENT, CLOCK, AGENT = "variables", "kl_coeff_val", "timestep", "agent"
WINDOW, REWARDS = "last_episodes", "rewards_of_agents"
PYTHONS_RANDOM, NUMPYS_RANDOM = "random", "numpy_random"
OF_ADAM = re.compile(r"/(Adam|beta[12]_power|global_step)(_\d+)?:0$")
OTHER_WAY = "what the optimizer has gathered is of another way to learn, and new; all else goes on"
WITH_REPLAY = ("DQN", "SimpleQ", "APEX", "DDPG", "APEX_DDPG", "TD3", "SAC", "MARWIL")


def file_beside(checkpoint: Path) -> Path:
    """Name the file that belongs to a checkpoint."""
    return checkpoint.with_name(f"{checkpoint.name}.adaptive.npz")


def save(trainer: Any, checkpoint: Path) -> None:
    """Write what has adapted beside the checkpoint."""
    policies = _policies(trainer)
    policy = next(iter(policies.values()))
    variables = _variables(policy)  # of all policies, which have one graph
    values = policy.get_session().run(variables) if variables else []
    arrays = {f"{VARIABLES}/{index}": value for index, value in enumerate(values)}
    arrays[VARIABLES] = np.array([variable.name for variable in variables], dtype=str)
    arrays[CLOCK] = np.array(policy.global_timestep)
    arrays[AGENT] = np.array(_agent(trainer))
    arrays[WINDOW] = np.array([(each.episode_length, each.episode_reward) for each in _window(trainer)], np.float64)
    arrays[REWARDS] = np.array(json.dumps([_rewards(each) for each in _window(trainer)]))
    arrays.update(
        (_coefficient(name), np.array(each.kl_coeff_val))
        for name, each in policies.items()
        if hasattr(each, COEFFICIENT)
    )
    arrays.update(_random_state())
    with open(file_beside(checkpoint), "wb") as file:
        np.savez(file, **arrays)


def check(trainer: Any, checkpoint: Path) -> None:
    """Raise UserError where the checkpoint is of another algorithm or environment than the trainer."""
    with np.load(str(file_beside(checkpoint)), allow_pickle=False) as kept:
        if AGENT in kept and str(kept[AGENT]) != _agent(trainer):
            raise UserError(
                f"{checkpoint.parent} is of {kept[AGENT]}, and this job trains {_agent(trainer)}: "
                "a job of another name starts anew"
            )


def restore(trainer: Any, checkpoint: Path) -> Optional[str]:
    """Set back what the checkpoint's file has, after RLlib has restored the rest.

    Returns:
        What could not be set back, in words; None where all could.

    Raises:
        ValueError: the file is of another agent.
    """
    with np.load(str(file_beside(checkpoint)), allow_pickle=False) as kept:
        policies = _policies(trainer)
        values = {name: kept[f"{VARIABLES}/{index}"] for index, name in enumerate(kept[VARIABLES].tolist())}
        lost = _load(next(iter(policies.values())), values)
        for name, policy in policies.items():
            if _coefficient(name) in kept:
                policy.kl_coeff_val = kept[_coefficient(name)].item()
        if WINDOW in kept:
            _set_window(trainer, kept[WINDOW], json.loads(str(kept[REWARDS])) if REWARDS in kept else [])
        clock = {"timestep": int(kept[CLOCK])}
        trainer.workers.local_worker().set_global_vars(clock)
        for worker in trainer.workers.remote_workers():
            worker.set_global_vars.remote(clock)
        _set_random_state(kept)
    return lost


def not_kept(trainer: Any) -> Optional[str]:
    """Say what an agent that goes on has lost; None where it is nothing to speak of."""
    lost = []
    if trainer._name in WITH_REPLAY and not replay.steps(trainer):
        lost.append("the replay buffer, which starts empty: the agent learns from new steps alone at first")
    if getattr(trainer, "train_exec_impl", None):
        lost.append("the last episodes: the mean reward is at first over new ones alone")
    if trainer.workers.remote_workers():
        lost.append("the workers' random generators: their episodes are others than without the restart")
    return f"in no checkpoint, and new: {'; '.join(lost)}" if lost else None


def _agent(trainer: Any) -> str:
    return f"{trainer._name} in {trainer.config['env']}"


def _window(trainer: Any) -> List[Any]:
    """Return the episodes of the mean reward; an algorithm with an execution plan keeps its own out of reach.

    Where it learns from a file, RLlib has estimates of the policy's worth among them, which are no episodes.
    """
    known = getattr(getattr(trainer, "optimizer", None), "episode_history", [])
    return [each for each in known if hasattr(each, "episode_length")]


def _rewards(episode: Any) -> List[List[Any]]:
    """Return what each agent had of an episode, with its policy; nothing where RLlib names none."""
    named = ((str(agent), policy, float(reward)) for (agent, policy), reward in episode.agent_rewards.items())
    return [list(each) for each in named if each[1] != ONE]


def _set_window(trainer: Any, episodes: Any, rewards: List[Any]) -> None:
    from ray.rllib.evaluation.metrics import RolloutMetrics

    if not hasattr(getattr(trainer, "optimizer", None), "episode_history"):
        return
    by_agent: List[Dict[Tuple[str, str], float]] = [
        {(agent, policy): reward for agent, policy, reward in each} for each in rewards or [[]] * len(episodes)
    ]
    trainer.optimizer.episode_history = [
        RolloutMetrics(int(length), reward, each) for (length, reward), each in zip(episodes, by_agent)
    ]


def _policies(trainer: Any) -> Dict[str, Any]:
    """Return the policies that are TensorFlow's; one of the user's own, as a heuristic, may be none."""
    policies: Dict[str, Any] = trainer.workers.local_worker().policy_map
    return {name: policy for name, policy in policies.items() if hasattr(policy, "get_session")}


def _coefficient(policy: str) -> str:
    """Name a policy's coefficient in the file; that of a job with one policy has no name."""
    return COEFFICIENT if policy == ONE else f"{COEFFICIENT}/{policy}"


def _variables(policy: Any) -> List[Any]:
    return list(policy.get_session().graph.get_collection("variables"))


def _load(policy: Any, values: Dict[str, Any]) -> Optional[str]:
    own = {variable.name: variable for variable in _variables(policy)}
    lost = None
    # RLlib's optimizers and the loop of SGD each name what Adam keeps in another way
    if any(name not in values for name in own if OF_ADAM.search(name)):
        own = {name: variable for name, variable in own.items() if not OF_ADAM.search(name)}
        lost = OTHER_WAY
    strangers = [name for name in own if name not in values or own[name].shape.as_list() != list(values[name].shape)]
    if strangers:
        raise ValueError(f"{', '.join(strangers[:3])}: not there, or of another shape")
    # By the initializers, which are there: an assignment of its own would add to the graph each time
    feeds = {own[name].initializer.inputs[1]: values[name] for name in own}
    policy.get_session().run([variable.initializer for variable in own.values()], feeds)
    return lost


def _random_state() -> Dict[str, Any]:
    """Read the state of the generators that an algorithm draws from in this process."""
    version, words, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state()
    return {
        f"{PYTHONS_RANDOM}/version": np.array(version),
        f"{PYTHONS_RANDOM}/words": np.array(words, np.uint64),
        f"{PYTHONS_RANDOM}/gauss": np.array([] if gauss is None else [gauss]),
        f"{NUMPYS_RANDOM}/kind": np.array(kind),
        f"{NUMPYS_RANDOM}/keys": np.array(keys),
        f"{NUMPYS_RANDOM}/place": np.array([position, has_gauss]),
        f"{NUMPYS_RANDOM}/cached": np.array(cached),
    }


def _set_random_state(kept: Any) -> None:
    gauss: List[float] = kept[f"{PYTHONS_RANDOM}/gauss"].tolist()
    words: Tuple[int, ...] = tuple(kept[f"{PYTHONS_RANDOM}/words"].tolist())
    random.setstate((kept[f"{PYTHONS_RANDOM}/version"].item(), words, gauss[0] if gauss else None))
    position, has_gauss = kept[f"{NUMPYS_RANDOM}/place"].tolist()
    keys, cached = kept[f"{NUMPYS_RANDOM}/keys"], kept[f"{NUMPYS_RANDOM}/cached"].item()
    np.random.set_state((kept[f"{NUMPYS_RANDOM}/kind"].item(), keys, position, has_gauss, cached))
