"""What lies between the trainer and the process that makes its videos."""

from __future__ import annotations

import json
import os
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any, Mapping

import cloudpickle  # type: ignore[import-untyped]

from rl_app.files import TEMPORARY, scratch_folder
from rl_app.policy import export, freezing
from rl_app.policy.numpy_network import in_numpy
from rl_app.storage.artifacts import POLICY

# What lies in the spool: policies that wait for a video, the one that is recorded, when to be done at the
# end, lines for the trainer to say, and the sign that there will be no videos.
WAITING, TAKEN, DEADLINE, SAID, NO_VIDEOS = "waiting", "taken", "deadline", "said", "no-videos"
# And what makes the environment, a user's own too.
CREATOR = "creator.pkl"
# Beside each policy: its network for numpy, or else the graph for TensorFlow.
ENV_CONFIG, FOR_NUMPY, GRAPH, SIGNATURE = "env_config.pkl", "network.pkl", "graph.pb", "frozen.json"
# Left of a deadline for encoding the last pictures.
RESERVE_S = 3.0


def leave(trainer: Any, training: Mapping[str, Any], target: Path) -> None:
    """Leave the trainer's policy in the spool, or its several; what the environment is made with goes as it is."""
    with scratch_folder(target.parents[1] / f"{TEMPORARY}{target.name}") as beside:
        for name, folder in export.folders(trainer, beside):
            _leave_policy(trainer, name, training, folder)
        several = export.several_of(trainer)
        if several:
            facts = export.several_facts(trainer, several, training)
            (beside / POLICY).write_text(json.dumps(facts, default=str))
        (beside / ENV_CONFIG).write_bytes(cloudpickle.dumps(trainer.config["env_config"]))
        os.replace(beside, target)


def _leave_policy(trainer: Any, name: str, training: Mapping[str, Any], directory: Path) -> None:
    policy = trainer.get_policy(name)
    frozen = freezing.freeze(policy)
    facts = export.policy_facts(trainer, frozen, freezing.mean_std(trainer, name), training, name)
    network = in_numpy(policy, frozen)
    if network:
        (directory / FOR_NUMPY).write_bytes(pickle.dumps(network))
    else:
        placeholders = {name: (dtype.name, shape) for name, (dtype, shape) in frozen.placeholders.items()}
        (directory / GRAPH).write_bytes(frozen.graph_def.SerializeToString())
        (directory / SIGNATURE).write_text(json.dumps([frozen.inputs, frozen.outputs, placeholders]))
    (directory / POLICY).write_text(json.dumps(facts, default=str))


def share_of_session(process: int, nice: int) -> None:
    """Set how much of the CPUs the session of a process gets, on the scale of nice, where Linux has such groups."""
    with suppress(OSError):
        Path(f"/proc/{process}/autogroup").write_text(str(nice))
