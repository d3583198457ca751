"""What the image's RLlib calls in place of its own ``Trainer.export_policy_model``: our export, in RLlib's place.

RLlib's own writes, under TensorFlow 2.13, attributes that TensorFlow 2.1 does not know, and an action that is a sample.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Optional

from rl_app.job.agents import ONE
from rl_app.policy.export import policy_facts, write_json, write_saved_model
from rl_app.policy.freezing import FrozenPolicy, MeanStd, freeze, mean_std
from rl_app.policy.onnx_conversion import write_onnx_if_it_agrees
from rl_app.storage.artifacts import POLICY, SAVED_MODEL

logger = logging.getLogger(__name__)


def export_policy_model(trainer: Any, export_dir: str, policy_id: str) -> None:
    """Write an RLlib policy as a SavedModel; where it is that of a job, also what evaluate and serve need of it.

    A policy that cannot be frozen is exported by RLlib itself.
    """
    policy = trainer.get_policy(policy_id)
    try:
        frozen, observation_filter = freeze(policy), mean_std(trainer, policy_id)
    except Exception as error:  # a policy of the user's own, of Torch, …, and whatever it raises
        logger.warning("%s is as RLlib itself exports it: %s", export_dir, _words(error))
        policy.export_model(export_dir)
        return
    write_saved_model(frozen, observation_filter, Path(export_dir))
    if _is_a_jobs(Path(export_dir)) and list(trainer.workers.local_worker().policy_map) == [ONE]:
        _write_beside(trainer, frozen, observation_filter, Path(export_dir).parent)


def _is_a_jobs(directory: Path) -> bool:
    model = os.environ.get("SM_MODEL_DIR")
    return model is not None and directory.resolve() == (Path(model) / SAVED_MODEL).resolve().parent


def _write_beside(trainer: Any, frozen: FrozenPolicy, observation_filter: Optional[MeanStd], directory: Path) -> None:
    """Write policy.json and policy.onnx; what keeps them from being is no reason for the program to fail."""
    about = {
        "training_iteration": trainer.iteration,
        "timesteps_total": trainer._timesteps_total or 0,
        "episodes_total": trainer._episodes_total,
    }
    try:
        facts = policy_facts(trainer, frozen, observation_filter, about)
        write_onnx_if_it_agrees(trainer.get_policy(), frozen, directory / "policy.onnx")
        write_json(directory / POLICY, facts)
    except Exception as error:  # a space that is none of Gym's, …
        logger.warning("no %s, so serve goes by the signature: %s", POLICY, _words(error))


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0]}"
