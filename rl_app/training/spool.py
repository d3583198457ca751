"""What lies between the trainer and the process that makes its videos."""

from __future__ import annotations

import json
import os
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any, Mapping, Optional

import cloudpickle  # type: ignore[import-untyped]

from rl_app.files import TEMPORARY, scratch_folder
from rl_app.policy import freezing
from rl_app.policy.numpy_network import NumpyNetwork

# What lies in the spool: policies that wait for a video, the one that is recorded, when to be done at the
# end, lines for the trainer to say, and the sign that there will be no videos.
WAITING, TAKEN, DEADLINE, SAID, NO_VIDEOS = "waiting", "taken", "deadline", "said", "no-videos"
# And what makes the environment, a user's own too.
CREATOR = "creator.pkl"
# Beside each policy: its network for numpy, or else the graph for TensorFlow.
ENV_CONFIG, FOR_NUMPY, GRAPH, SIGNATURE = "env_config.pkl", "network.pkl", "graph.pb", "frozen.json"
# Left of a deadline for encoding the last pictures.
RESERVE_S = 3.0


def leave(
    frozen: freezing.FrozenPolicy,
    in_numpy: Optional[NumpyNetwork],
    facts: Mapping[str, Any],
    env_config: Any,
    target: Path,
) -> None:
    """Leave a policy in the spool; ``env_config`` goes as it is, for the facts hold only what JSON can."""
    with scratch_folder(target.parents[1] / f"{TEMPORARY}{target.name}") as beside:
        if in_numpy:
            (beside / FOR_NUMPY).write_bytes(pickle.dumps(in_numpy))
        else:
            placeholders = {name: (dtype.name, shape) for name, (dtype, shape) in frozen.placeholders.items()}
            (beside / GRAPH).write_bytes(frozen.graph_def.SerializeToString())
            (beside / SIGNATURE).write_text(json.dumps([frozen.inputs, frozen.outputs, placeholders]))
        (beside / "policy.json").write_text(json.dumps(facts, default=str))
        (beside / ENV_CONFIG).write_bytes(cloudpickle.dumps(env_config))
        os.replace(beside, target)


def share_of_session(process: int, nice: int) -> None:
    """Set how much of the CPUs the session of a process gets, on the scale of nice, where Linux has such groups."""
    with suppress(OSError):
        Path(f"/proc/{process}/autogroup").write_text(str(nice))
