"""What lies between the trainer and the process that makes its videos."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Mapping

import cloudpickle  # type: ignore[import-untyped]

from rl_app.files import TEMPORARY, scratch_folder
from rl_app.policy import freezing

# What lies in the spool: policies that wait for a video, the one that is recorded, when to be done at the
# end, lines for the trainer to say, and the sign that there will be no videos.
WAITING, TAKEN, DEADLINE, SAID, NO_VIDEOS = "waiting", "taken", "deadline", "said", "no-videos"
# And what makes the environment, a user's own too.
CREATOR = "creator.pkl"
# Beside each policy.
ENV_CONFIG = "env_config.pkl"
# Left of a deadline for encoding the last pictures.
RESERVE_S = 3.0


def leave(frozen: freezing.FrozenPolicy, facts: Mapping[str, Any], env_config: Any, target: Path) -> None:
    """Leave a policy in the spool; ``env_config`` goes as it is, for the facts hold only what JSON can."""
    placeholders = {name: (dtype.name, shape) for name, (dtype, shape) in frozen.placeholders.items()}
    with scratch_folder(target.parents[1] / f"{TEMPORARY}{target.name}") as beside:
        (beside / "graph.pb").write_bytes(frozen.graph_def.SerializeToString())
        (beside / "frozen.json").write_text(json.dumps([frozen.inputs, frozen.outputs, placeholders]))
        (beside / "policy.json").write_text(json.dumps(facts, default=str))
        (beside / ENV_CONFIG).write_bytes(cloudpickle.dumps(env_config))
        os.replace(beside, target)


def share_of_session(process: int, nice: int) -> None:
    """Set how much of the CPUs the session of a process gets, on the scale of nice, where Linux has such groups."""
    with suppress(OSError):
        Path(f"/proc/{process}/autogroup").write_text(str(nice))
