"""What episodes say of a policy: mean, spread, and how sure one may be of them."""

from __future__ import annotations

import math
from statistics import fmean, median, stdev
from typing import Any, Dict, List, Optional, Sequence

CONFIDENCE = 0.95
METHOD = "Student t, {}: {:.0%} for the mean, n - 1 degrees of freedom"


def summary(rewards: Sequence[float]) -> Dict[str, Any]:
    """Return the statistics of some episodes' rewards, as JSON data.

    ``std`` is the sample's (n - 1), and it and ``confidence_interval`` are None for fewer than two episodes; all
    of them are None without any.
    """
    return {
        "n": len(rewards),
        "mean": fmean(rewards) if rewards else None,
        "std": stdev(rewards) if len(rewards) > 1 else None,
        "min": min(rewards, default=None),
        "median": median(rewards) if rewards else None,
        "max": max(rewards, default=None),
        "confidence_interval": interval(rewards),
        "confidence_interval_method": METHOD.format("episodes independent", CONFIDENCE),
    }


def difference(base: Sequence[float], other: Sequence[float]) -> Dict[str, Any]:
    """Return what ``other`` has more than ``base``: both hold the rewards of episodes of the same seeds, in one order.

    What only one of them has, because the evaluation was stopped, does not count.
    """
    differences = [theirs - ours for ours, theirs in zip(base, other)]
    return {
        "n": len(differences),
        "mean": fmean(differences) if differences else None,
        "confidence_interval": interval(differences),
        "confidence_interval_method": METHOD.format("paired by seed", CONFIDENCE),
    }


def interval(values: Sequence[float]) -> Optional[List[float]]:
    """Student's confidence interval of the mean, [low, high]; None for fewer than two values."""
    if len(values) < 2:
        return None
    # scipy.stats would take a second to import
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    quantile = float(stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2))
    half = quantile * stdev(values) / math.sqrt(len(values))
    return [fmean(values) - half, fmean(values) + half]
