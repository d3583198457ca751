"""What a job imports of RLlib, in a Python of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rl_app import algorithms
from tests.app.jobs import REPOSITORY

PROGRAM = """
import sys
from rl_app.training.imports import import_rllib
import_rllib()
assert not [name for name in sys.modules if name.startswith("ray.rllib.agents.sac")]
import ray.rllib.agents.ppo
from ray.rllib.agents.registry import get_agent_class
print(get_agent_class("{name}")._name)
"""

WHEN_USED = """
import sys
from rl_app.training.imports import import_rllib
import_rllib()
unused = ("pandas.core", "scipy.signal._signaltools", "tensorflow_probability.python")
assert not [name for name in unused if name in sys.modules], "imported, and not used"
{words}
print("used")
"""
USED = {
    "by RLlib": """
from ray.rllib.evaluation.postprocessing import discount
assert discount([1.0, 1.0], 0.5).tolist() == [1.5, 1.0]
from ray.rllib.models.tf.tf_action_dist import tfp
assert tfp.distributions.Normal
""",
    "as a whole": """
import pandas, scipy.signal, tensorflow_probability as tfp
assert pandas.__version__ and pandas.DataFrame([1]).shape == (1, 1)
assert scipy.signal.lfilter and tfp.distributions.Normal
""",
    "by name": """
from pandas import DataFrame
from scipy.signal import lfilter
from scipy import signal
import pandas as pd, pickle
assert pd.DataFrame is DataFrame and signal.lfilter is lfilter
assert pickle.loads(pickle.dumps(DataFrame([1]))).shape == (1, 1)
""",
    "in a pickle": """
import pandas as pd
from ray import cloudpickle
assert cloudpickle.loads(cloudpickle.dumps(lambda: pd.DataFrame([1]).shape))() == (1, 1)
""",
    "a module inside": """
import pandas.api.types
from tensorflow_probability.python import distributions
assert pandas.api.types.is_list_like([]) and pandas.DataFrame and distributions.Normal
""",
}


def ran(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


@pytest.mark.parametrize("words", USED.values(), ids=USED)
def test_what_few_jobs_need_is_imported_when_it_is_used(words: str) -> None:
    assert ran(WHEN_USED.format(words=words)).split() == ["used"]


COLLECTED = """
import gc
{before}
was_enabled, counted = gc.isenabled(), [each["collections"] for each in gc.get_stats()]
from rl_app.training.imports import import_rllib
import_rllib()
assert gc.isenabled() == was_enabled
assert gc.get_freeze_count() > 100_000, "what was imported is not looked at again"
print(sum(each["collections"] for each in gc.get_stats()) - sum(counted))
"""


@pytest.mark.parametrize("before", ["", "gc.disable()"])
def test_the_collector_leaves_what_is_imported_alone(before: str) -> None:
    (collections,) = map(int, ran(COLLECTED.format(before=before)).split())
    assert collections < 100, "of the thousands that there are otherwise"


@pytest.mark.parametrize("name", ["PPO", "SAC"])
def test_only_what_is_asked_for_is_imported_and_all_of_it_is_found(name: str) -> None:
    assert name in algorithms.NAMES
    assert ran(PROGRAM.format(name=name)).split() == [name]
