"""Whether an agent's numbers are numbers: a policy that answers NaN is never saved, exported or served."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence

import numpy as np

from rl_app.errors import JobError

DIVERGED = "its training diverged; a smaller learning rate, or smaller rewards and observations, may keep it finite"
# A deviation this small beside the mean is that of a constant, rounded
CONSTANT = 1e-7


def check_weights(policy: Any, iteration: int) -> None:
    """Raise JobError where a weight of an RLlib policy is NaN or infinite."""
    for name, weights in _weights_of(policy).items():
        if not np.isfinite(weights).all():
            raise JobError(f"iteration {iteration}: the weights {name} are no longer finite numbers: {DIVERGED}")


def check_vector(weights: Any) -> None:
    """Raise JobError where one of all of a policy's weights, in one array, is NaN or infinite."""
    if not np.isfinite(weights).all():
        raise JobError(f"the policy's weights are no longer finite numbers: {DIVERGED}")


def _weights_of(policy: Any) -> Mapping[str, Any]:
    """Return them by one call of TensorFlow's session; RLlib makes one for each."""
    known: Any = getattr(policy, "_variables", None)
    weights: Mapping[str, Any] = known.sess.run(known.variables) if hasattr(known, "sess") else policy.get_weights()
    return weights


def check_actions(outputs: Mapping[str, Any]) -> None:
    """Raise JobError where an action among a network's outputs is NaN or infinite."""
    for name, values in outputs.items():
        if name.startswith("actions_") and not np.isfinite(values).all():
            raise JobError(f"the policy's {name} is no finite number for an observation: {DIVERGED}")


def never_changed(mean: Sequence[float], std: Sequence[float], clip: Optional[float]) -> Optional[str]:
    """Say which features a filter saw as constants; None where there are none, or where what it gives is cut."""
    found = [i for i, each in enumerate(std) if abs(each) <= CONSTANT * max(1.0, abs(mean[i]))]
    if not found or clip is not None:
        return None
    listed = ", ".join(map(str, found[:8])) + (", …" if len(found) > 8 else "")
    return (
        f"observation_filter: {len(found)} of {len(std)} features never changed in training ({listed}): any other "
        "value of such a one reaches the network as a number of millions, for good; filter_clip=10 cuts what it gives"
    )
