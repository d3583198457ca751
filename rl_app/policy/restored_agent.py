"""A trained agent brought back with Ray, from its checkpoint and params.json."""

from __future__ import annotations

import json
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional

import numpy as np

from rl_app import algorithms
from rl_app.errors import JobError, UserError
from rl_app.garbage import uncollected
from rl_app.job import agents
from rl_app.job.agents import ONE, POLICIES, TABLE
from rl_app.job.rules import LEAST_WORKERS
from rl_app.policy.facts import names_several
from rl_app.policy.loading import facts_of_policies, read_facts
from rl_app.policy.several import Several
from rl_app.storage.artifacts import POLICY

if TYPE_CHECKING:
    from rl_app.envs.contract.creation import Creator

# What an agent that only plays needs none of, whatever it was trained with.
PLAYING = {
    "num_gpus": 0,
    "num_gpus_per_worker": 0,
    "num_envs_per_worker": 1,
    "evaluation_interval": None,
    "input": "sampler",
    "output": None,
    "monitor": False,
    "log_level": "WARN",
    "log_sys_usage": False,
    # PPO's other optimizer builds three copies of its loss, which takes seconds
    "simple_optimizer": True,
}


def params_of(directory: Path) -> Dict[str, Any]:
    """Read the trial's config as Tune wrote it; {} where there is none. Raises UserError where it is no JSON object."""
    file = directory / "params.json"
    if not file.exists():
        return {}
    try:
        params = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read: {error}") from None
    if not isinstance(params, dict):
        raise UserError(f"{file}: expected a JSON object")
    return params


def check_files(directory: Path) -> None:
    """Raise UserError where a file of those is missing that an agent is restored from."""
    for name in ("checkpoint", "checkpoint.tune_metadata", "params.json"):
        if not (directory / name).is_file():
            raise UserError(f"{directory / name}: no such file; an agent is restored from it")


@contextmanager
def restored(
    directory: Path, algorithm: str, params: Mapping[str, Any], env: str, create: Creator, env_config: Mapping[str, Any]
) -> Iterator[Any]:
    """Yield an RLlib trainer in the state of the model's checkpoint, while the block runs; Ray has to run.

    The checkpoint is a pickle, and loading one runs what code is in it.

    Raises:
        JobError: Ray cannot restore it.
    """
    with uncollected():
        from ray.rllib.agents.registry import get_agent_class
        from ray.tune.logger import NoopLogger
        from ray.tune.registry import register_env

    from rl_app.policy.lstm import with_lstm

    checkpoint = directory / "checkpoint"
    register_env(env, create)
    config = {**playing(algorithm, params), "env": env, "env_config": dict(env_config)}
    # Where Ray trained without us, a plain network came of use_lstm
    config = with_lstm(config) if (directory / POLICY).exists() else config
    several = _several(directory, config)
    config = several.rllibs(config) if several else config
    with tempfile.TemporaryDirectory() as folder:
        trainer = get_agent_class(algorithm)(
            config=config, env=env, logger_creator=lambda merged: NoopLogger(merged, folder)
        )
        trainer.several = several
        try:
            try:
                trainer.restore(str(checkpoint))
            except Exception as error:
                raise JobError(f"{checkpoint}: cannot be restored: {type(error).__name__}: {error}") from error
            yield trainer
        finally:
            trainer.stop()


def _several(directory: Path, config: Mapping[str, Any]) -> Optional[Several]:
    """Return what the policies of a model are; None where it has one without a name."""
    facts = read_facts(directory / POLICY) if (directory / POLICY).exists() else {}
    if not names_several(facts):
        return None
    own = facts_of_policies(directory, facts)
    spaces = {name: (each["observation_space"], each["action_space"]) for name, each in own.items()}
    settings = agents.policies(config)
    multiagent = {**config.get("multiagent", {}), POLICIES: {name: settings.get(name) or {} for name in own}}
    return Several(facts[TABLE], spaces, multiagent)


def playing(algorithm: str, params: Mapping[str, Any]) -> Dict[str, Any]:
    """Pick of a trial's config what its agent needs to play; what JSON could not hold is left to RLlib's default."""
    default = algorithms.default_config(algorithm)
    kept = {key: value for key, value in _data(params).items() if key in default}
    changes = {key: value for key, value in PLAYING.items() if key in default}
    return {**kept, **changes, "num_workers": LEAST_WORKERS.get(algorithm, 0)}


def _data(params: Mapping[str, Any]) -> Dict[str, Any]:
    """Without classes and functions, which Tune writes as the text that Python shows for them."""
    data = {key: _data(value) if isinstance(value, Mapping) else value for key, value in params.items()}
    return {key: value for key, value in data.items() if not (isinstance(value, str) and value.startswith("<"))}


class Restored:
    """Plays a restored agent, as RLlib's own loop does; see :class:`rl_app.policy.episodes.Player`.

    Sampled actions are drawn from the agent's distribution by the episode's seed, as those of an exported policy:
    TensorFlow's own samples depend on all that were drawn before.

    Raises:
        UserError: actions are to be sampled, and the agent has no distribution.
    """

    def __init__(self, trainer: Any, env: Any, deterministic: bool, policy: str = ONE) -> None:
        from ray.rllib.env.normalize_actions import NormalizeActionWrapper

        self._trainer, self._policy = trainer, policy
        self._sampler = None if deterministic else _sampler(trainer, policy)
        normalized = trainer.config["normalize_actions"]
        self._rescaled = NormalizeActionWrapper(env).action if normalized else lambda action: action

    def begin(self, seed: Optional[int]) -> None:
        self._state: List[Any] = self._trainer.get_policy(self._policy).get_initial_state()
        self._rng = np.random.default_rng(seed)

    def act(self, observation: Any, reward: float) -> Any:
        action, self._state, info = self._trainer.compute_action(
            observation, state=self._state, policy_id=self._policy, full_fetch=True, explore=False
        )
        if self._sampler is not None:
            return self._sampler(info["action_dist_inputs"], self._rng)
        # RLlib keeps the batch in each part of a tuple of actions
        return self._rescaled(tuple(part[0] for part in action) if isinstance(action, list) else action)


def _sampler(trainer: Any, name: str) -> Any:
    from rl_app.policy.loading import Input, Network
    from rl_app.policy.policy import Policy

    facts = facts_of(trainer, name)
    inputs = {"observations": Input(np.float32, (facts["observation_size"],))}
    policy = Policy(facts, Network("ray", inputs, lambda feeds: {}, filters=True))
    if policy.unsampled is not None:
        raise UserError(f"deterministic = false: {policy.unsampled}")

    def sample(logits: Any, rng: np.random.Generator) -> Any:
        return policy.rllib_actions(policy.sample({"action_dist_inputs": logits[None]}, rng))[0]

    return sample


def facts_of(trainer: Any, name: str = ONE) -> Dict[str, Any]:
    """Return what policy.json would say of the agent, or of its policy of that name."""
    from rl_app.policy import export, freezing

    frozen = freezing.freeze(trainer.get_policy(name))
    facts: Dict[str, Any] = json.loads(
        json.dumps(export.policy_facts(trainer, frozen, freezing.mean_std(trainer, name), {}, name), default=str)
    )
    return facts
