"""Networks, distributions, preprocessors and callbacks of the user's own, from training to what is served.

That the exported policy acts as the agent is in test_agreement.py.
"""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import List

import gym
import numpy as np
import pytest

from rl_app.envs.contract.trial import allowed
from rl_app.job import metrics
from tests.app.hosts import Hosts
from tests.app.jobs import REPOSITORY, Finished, Ran, local, run
from tests.app.serving import Served
from tests.app.test_evaluate import evaluation

NETWORKS = Path(__file__).parent / "networks"
MASKING, NETWORK = REPOSITORY / "examples" / "masking", REPOSITORY / "examples" / "network"
ONE = "stop.training_iteration=1"
OUT = "; export=false trains it all the same, and leaves checkpoints and no model"


def train(store: Path, source: Path, *words: str, name: str = "own") -> Ran:
    return run(local(*words, "--source", str(source), "--job", name, "--store", str(store)))


def played(store: Path, name: str, *words: str) -> List[float]:
    ran = run(evaluation("own", "--episodes", "3", "videos=0", *words, "--job", name, "--store", str(store)))
    assert ran.status == 0, ran
    output = Finished(store, name, ran).unpack("output.tar.gz", store / f"{name}-output")
    (found,) = json.loads((output / "evaluation.json").read_text())["models"]
    return [each["reward"] for each in found["episodes"]]


def test_the_example_of_a_mask_never_takes_what_is_not_allowed(tmp_path: Path) -> None:
    ran = train(tmp_path, MASKING, "masking")
    assert ran.status == 0 and "solved" in ran.stdout, ran
    assert "RLlib's own" not in ran.stdout, "the fast trainer takes it"
    assert len(played(tmp_path, "exported")) == 3, "its environment raises where an action is not allowed"
    model = Finished(tmp_path, "own", ran).unpack("model.tar.gz", tmp_path / "model")
    with Served(model) as server:
        asked = [{"action_mask": mask, "values": [0.9, 0.1, 0.2, 0.8]} for mask in itertools.product([0, 1], repeat=4)]
        for deterministic in (True, False):
            question = {"observations": asked[1:], "deterministic": deterministic}
            found = server.post(question).json["outputs"]["actions_0"]
            assert [each["action_mask"][action] for each, action in zip(asked[1:], found)] == [1] * 15


def test_the_example_of_a_network_is_found_again_by_all_that_comes_after(tmp_path: Path) -> None:
    """Trained with a worker of Ray's, gone on with, evaluated as exported and as restored, begun with."""
    ran = train(tmp_path, NETWORK, "network", ONE, "config.num_workers=1")
    assert ran.status == 0, ran
    assert ran.stdout.count("trained by RLlib's own sampler, which is slower: config.callbacks look at episodes") == 1
    row = metrics.read(Finished(tmp_path, "own", ran).unpack("output.tar.gz", tmp_path / "output"))[-1]
    assert 0 < row["custom_metrics/tilt_mean"] < 1

    resumed = run(local("--resume", "own", "stop.training_iteration=2", "--store", str(tmp_path)))
    assert resumed.status == 0 and "going on from iteration 1" in resumed.stdout, resumed

    assert played(tmp_path, "exported") == played(tmp_path, "restored", "--restore")

    begun = train(tmp_path, NETWORK, "network", ONE, "--from", "own", name="begun")
    assert begun.status == 0 and "beginning with the weights" in begun.stdout, begun


def test_every_host_has_the_users_classes(tmp_path: Path) -> None:
    config = {"train_batch_size": 400, "sgd_minibatch_size": 100, "rollout_fragment_length": 50, "num_sgd_iter": 2}
    settings = {f"rl.training.config.{key}": str(value) for key, value in config.items()}
    stop = {"rl.training.stop.training_iteration": "1", "rl.training.config.num_workers": "2"}
    hosts = Hosts(tmp_path, 2, {"experiment": "network", **settings, **stop})
    for host in hosts:
        shutil.copytree(NETWORK, host.paths.code, dirs_exist_ok=True)
    hosts.start()
    try:
        assert hosts.wait() == [0, 0], "".join(host.text + host.log for host in hosts)
    finally:
        hosts.close()


@pytest.mark.parametrize("actions", [gym.spaces.Discrete(3), gym.spaces.Discrete(3, start=5)])
def test_the_check_of_an_environment_draws_what_its_mask_allows(actions: gym.spaces.Discrete) -> None:
    start = actions.start
    drawn = {allowed(actions, {"action_mask": np.array([1, 0, 1])}) for _ in range(50)}
    assert drawn == {start, start + 2}
    unmasked = [{"action_mask": [0, 0, 0]}, {"action_mask": [1, 0]}, {}, np.zeros(3)]
    assert all({allowed(actions, each) - start for _ in range(50)} == {0, 1, 2} for each in unmasked)


def test_the_check_of_an_environment_draws_actions_of_every_space() -> None:
    spaces = gym.spaces
    for actions in (spaces.Box(-1.0, 1.0, (3,)), spaces.MultiDiscrete([2, 3]), spaces.Tuple([spaces.Discrete(2)] * 2)):
        assert actions.contains(allowed(actions, {"action_mask": np.ones(2)}))


def test_a_network_that_the_users_code_has_registered_by_itself_is_known(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    lines = [
        "from ray.rllib.models import ModelCatalog",
        "from ray.rllib.models.tf.fcnet_v2 import FullyConnectedNetwork",
        "ModelCatalog.register_custom_model('mine', FullyConnectedNetwork)",
        (NETWORKS / "experiments.py").read_text().replace('"dense"}', '"mine"}'),
    ]
    (source / "experiments.py").write_text("\n".join(lines))
    ran = train(tmp_path / "store", source, "dense")
    assert ran.status == 0, ran


@pytest.mark.parametrize("experiment", ["pairs", "parametric"])
def test_rllibs_own_examples_train_and_play(experiment: str, tmp_path: Path) -> None:
    ran = train(tmp_path, NETWORKS, experiment, "config.num_sgd_iter=2")
    assert ran.status == 0, ran
    assert len(played(tmp_path, "exported")) == len(played(tmp_path, "restored", "--restore")) == 3


def test_a_model_that_cannot_be_exported_is_refused_before_it_is_trained(tmp_path: Path) -> None:
    ran = train(tmp_path, NETWORKS, "dense", "config.model.custom_model=python")
    why = f'custom_model = "python": cannot be exported: it calls Python as it acts, by PyFuncStateless{OUT}'
    assert ran.status == 2 and ran.stdout.count(why) == 1 and "iteration" not in ran.stdout, ran


def test_without_export_the_job_is_completed_by_its_checkpoints_and_has_no_model(tmp_path: Path) -> None:
    words = ("dense", "config.model.custom_model=python", "config.model.custom_preprocessor=halved", "export=false")
    ran = train(tmp_path, NETWORKS, *words)
    job = Finished(tmp_path, "own", ran)
    assert ran.status == 0 and job.record["TrainingJobStatus"] == "Completed", ran
    assert "ModelArtifacts" not in job.record and not (job.directory / "output" / "model.tar.gz").exists()
    assert (job.directory / "checkpoints" / "checkpoint_1" / "checkpoint-1").is_file()
    assert "no model, as export = false; a job can go on from the checkpoints" in ran.stdout
    assert "scripts/evaluate" not in ran.stderr and "scripts/train" in ran.stderr
    resumed = run(local("--resume", "own", "stop.training_iteration=2", "--store", str(tmp_path)))
    assert resumed.status == 0 and "going on from iteration 1" in resumed.stdout, resumed
    refused = run(evaluation("own", "--store", str(tmp_path)))
    assert refused.status == 2 and "own: a job of" in refused.stderr and "and has no model" in refused.stderr, refused


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            "config.model.custom_model=densse",
            'rl.training.config.model.custom_model = "densse": did you mean dense? MODELS has dense, nested, frames, '
            "parametric, recurrent, autoregressive, old, python, noisy, hidden, warm",
        ),
        (
            "config.model.custom_action_dist=sharpe",
            'rl.training.config.model.custom_action_dist = "sharpe": did you mean sharp? ACTION_DISTRIBUTIONS has '
            "pairs, sharp",
        ),
        (
            "config.model.custom_preprocessor=halved",
            'rl.training.config.model.custom_preprocessor = "halved": an exported policy has no code of your own: let '
            "a wrapper of the environment do it, or give export=false",
        ),
        (
            "config.model.custom_model=noisy",
            'custom_model = "noisy": cannot be exported: it gives other actions_0 each time for one observation' + OUT,
        ),
        (
            "config.model.custom_model=warm",
            'custom_model = "warm": cannot be exported: state 0 of its memory begins as another thing than a row of '
            "zeros" + OUT,
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(words: str, line: str, tmp_path: Path) -> None:
    ran = train(tmp_path, NETWORKS, "dense", *words.split())
    assert ran.status == 2 and (ran.stdout + ran.stderr).count(line) == 1, ran
    assert "iteration" not in ran.stdout


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        ("hidden", "an object beside the network remembers its last values"),
        ("recurrent", "the network has a memory"),
        ("old", "the network has a loss or metrics of its own"),
    ],
)
def test_what_the_fast_trainer_cannot_learn_rllib_does_and_one_line_says_so(
    network: str, reason: str, tmp_path: Path
) -> None:
    ran = train(tmp_path, NETWORKS, "dense", f"config.model.custom_model={network}")
    assert ran.status == 0, ran
    (line,) = [line for line in ran.stdout.splitlines() if "trained by RLlib's own" in line]
    assert line.endswith(reason)
    assert np.isfinite(played(tmp_path, "exported")).all()


@pytest.mark.parametrize(
    ("file", "code", "line"),
    [
        ("models.py", "MODELS = {'mine': 3}", 'MODELS["mine"] must be a class that inherits from '),
        ("models.py", "MODELS = ['mine']", "MODELS must be a dict of names, such as MODELS = {'mine': …}"),
        ("models.py", "import nothing_of_this_name", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("callbacks.py", "CALLBACKS = {'on_train_result': print}", "callbacks.py: CALLBACKS must be a class that "),
        ("callbacks.py", "", "callbacks.py: CALLBACKS must be a class that inherits from ray.rllib.agents.callbacks"),
    ],
)
def test_a_source_with_something_else_in_it_is_refused(file: str, code: str, line: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / file).write_text(f"{code}\n")
    ran = train(tmp_path / "store", source, "cartpole", ONE)
    assert ran.status == 2 and (ran.stdout + ran.stderr).count(line) == 1, ran
