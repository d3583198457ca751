"""Our own settings, which are no words of RLlib or Tune: of a training job and of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Dict, Optional

from rl_app import algorithms
from rl_app.job.rule import Rule

PREFIX = "rl.training."
"""What the hyperparameters begin with that are words of Tune and RLlib."""
PLACES = "SageMaker's contract says where files go"

NONE = type(None)

EVALUATION_RULES = (
    Rule("evaluate_episodes", lambda value, _: value >= 1, "must be 1 or more"),
    Rule("seed", lambda value, _: 0 <= value < 2**32, "must be 0 to 4294967295"),
    Rule("algorithm", lambda value, _: value in algorithms.NAMES, f"must be one of {', '.join(algorithms.NAMES)}"),
    Rule("max_steps", lambda value, _: value >= 1, "must be 1 or more"),
    Rule("videos", lambda value, _: value >= 0, "must be 0 or more"),
    Rule("max_run", lambda value, _: value >= 1, "must be 1 or more"),
    Rule("env_deadline", lambda value, _: value >= 1, "must be 1 or more"),
)


@dataclass(frozen=True)
class Settings:
    """The settings of this project, each the bare hyperparameter of its name."""

    experiment: str = field(default="cartpole", metadata={"help": "what to train: a name of the experiments"})
    command: str = field(default="train", metadata={"help": "`train`, or `evaluate` a model"})
    seed: Optional[int] = field(
        default=None,
        metadata={"help": "makes a run repeatable: 0 to 4294967295; the same as `rl.training.config.seed`"},
    )
    max_run: int = field(
        default=24 * 60 * 60,
        metadata={"help": "the longest that the job may run, in seconds; then it is stopped"},
    )
    env_deadline: int = field(
        default=60,
        metadata={"help": "the longest that a call of the environment may take, in seconds; then it hangs"},
    )
    strict_spaces: bool = field(
        default=False,
        metadata={"help": "`true`: an observation outside its space ends the job; `false`: it is said, once"},
    )
    filter_clip: Optional[float] = field(
        default=None,
        metadata={"help": "with `config.observation_filter`: what it gives is cut to ±this; RLlib's class can"},
    )
    hosts_deadline: int = field(
        default=600,
        metadata={"help": "the longest that a job of several hosts waits for all of them, in seconds"},
    )
    on_host_lost: str = field(
        default="fail",
        metadata={"help": "`fail`: a job of several hosts ends with the first that is lost; `go_on`: it trains on"},
    )
    head_group: Optional[str] = field(
        default=None,
        metadata={"help": "the instance group of whose hosts the first one trains; default: the job's first host"},
    )
    replay_mb: int = field(
        default=64,
        metadata={"help": "DQN, SAC, …: the largest replay buffer, in MiB, that each checkpoint keeps; `0`: none"},
    )
    fast: Optional[bool] = field(
        default=None,
        metadata={"help": "`false`: PPO samples and learns by RLlib's own code: the same, later"},
    )
    export: bool = field(
        default=True,
        metadata={"help": "`false`: the job leaves its checkpoints and no model, for what cannot be exported"},
    )


OURS = frozenset(setting.name for setting in fields(Settings))


@dataclass(frozen=True)
class Evaluation:
    """The settings of a job whose ``command`` is ``evaluate``, each the bare hyperparameter of its name.

    ``evaluate_episodes``, ``algorithm`` and ``env`` are named as AWS's evaluation script names them.
    """

    evaluate_episodes: int = field(default=10, metadata={"help": "how many episodes are played"})
    seed: int = field(
        default=0, metadata={"help": "the same seed gives the same episodes, to every model: 0 to 4294967295"}
    )
    deterministic: bool = field(
        default=True, metadata={"help": "`true`: the policy's best action; `false`: samples of its distribution"}
    )
    restore: bool = field(
        default=False,
        metadata={"help": "`true`: restores the agent with Ray, from a pickle, in place of the exported policy"},
    )
    algorithm: Optional[str] = field(
        default=None, metadata={"help": "for a model without policy.json, as AWS's launcher makes them: `PPO`, …"}
    )
    env: Optional[str] = field(default=None, metadata={"help": "another environment than the policy was trained in"})
    env_config: Optional[Dict[str, Any]] = field(
        default=None, metadata={"help": "what that environment is made with, as a JSON object"}
    )
    max_steps: Optional[int] = field(
        default=None,
        metadata={"help": "cuts an episode after so many steps; default: the training's `config.horizon`, if any"},
    )
    videos: int = field(default=2, metadata={"help": "how many episodes are recorded: the best, the worst, …"})
    max_run: int = field(default=24 * 60 * 60, metadata={"help": "as in training"})
    env_deadline: int = field(default=Settings.env_deadline, metadata={"help": "as in training"})
    strict_spaces: bool = field(default=False, metadata={"help": "as in training"})


@dataclass(frozen=True)
class Job:
    """What a job is to do.

    ``trial`` has ``run``, ``env``, ``stop``, ``config`` (without RLlib's defaults), ``checkpoint_freq``
    (10 if not given) and ``keep_checkpoints_num`` (3); ``sagemaker`` has what is SageMaker's own.
    """

    settings: Settings
    trial: Dict[str, Any]
    sagemaker: Dict[str, str]
