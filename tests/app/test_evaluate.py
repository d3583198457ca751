"""Trained models evaluated: what is left, that a seed repeats it, and that both ways to play agree."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

import gym
import numpy as np
import pytest
from gym import spaces

from tests.app.jobs import REPOSITORY, Finished, Ran, local, run, start, stop, wait_for_line
from tests.app.made_models import write_model

QUICK = {
    "cartpole-dqn": ("stop.timesteps_total=1", "config.timesteps_per_iteration=200"),
    "pendulum": ("stop.timesteps_total=1", "config.timesteps_per_iteration=200", "config.learning_starts=50"),
    "cartpole-lstm": ("stop.timesteps_total=1", "config.num_envs_per_worker=4", "config.train_batch_size=256"),
}
ROUNDING = {"pendulum": 1e-3, "tuples": 1e-6}
"""Of a reward that is made of continuous actions, which are equal within rounding; a pendulum makes more of it."""


def evaluation(*arguments: str) -> List[str]:
    return [sys.executable, "-m", "rl_app", "local", "evaluate", *arguments]


class Evaluated(Finished):
    @property
    def found(self) -> Dict[str, Any]:
        with tarfile.open(str(self.directory / "output" / "output.tar.gz")) as tar:
            return json.loads(tar.extractfile("evaluation.json").read(), parse_constant=pytest.fail)

    @property
    def episodes(self) -> List[Dict[str, Any]]:
        return self.found["models"][0]["episodes"]


def evaluate(store: Path, name: str, *arguments: str, status: int = 0) -> Evaluated:
    ran = run(evaluation(*arguments, "--job", name, "--store", str(store)))
    assert ran.status == status, ran
    return Evaluated(store, name, ran)


@pytest.fixture(scope="module")
def evaluated(trained: Finished) -> Evaluated:
    return evaluate(trained.store, "evaluated", trained.name, "--episodes", "5", "--seed", "3")


# ---- what is left


def test_it_leaves_every_episode_and_what_they_are_worth(evaluated: Evaluated) -> None:
    (model,) = evaluated.found["models"]
    rewards = [episode["reward"] for episode in model["episodes"]]
    assert len(rewards) == model["n"] == 5
    assert [episode["length"] for episode in model["episodes"]] == rewards  # a step of CartPole gives 1
    assert len({episode["seed"] for episode in model["episodes"]}) == 5
    assert model["mean"] == pytest.approx(np.mean(rewards))
    assert model["std"] == pytest.approx(np.std(rewards, ddof=1))
    assert (model["min"], model["median"], model["max"]) == (min(rewards), np.median(rewards), max(rewards))
    low, high = model["confidence_interval"]
    assert low < model["mean"] < high
    assert "Student t" in model["confidence_interval_method"]
    assert (model["policy"]["algorithm"], model["policy"]["env"]) == ("PPO", "CartPole-v1")
    assert model["policy"]["versions"]["ray"] == "0.8.5"
    assert evaluated.found["env"] == {"name": "CartPole-v1", "env_config": {}}
    assert (evaluated.found["state"], evaluated.found["settings"]["seed"]) == ("Completed", 3)
    assert evaluated.found["versions"]["gym"] == "0.22.0"


def test_it_prints_a_table_and_awss_lines(evaluated: Evaluated) -> None:
    (model,) = evaluated.found["models"]
    printed = evaluated.ran.stdout.splitlines()
    for episode in model["episodes"]:
        assert f"Episode reward: {episode['reward']}. Episode steps: {episode['length']}" in printed
    for name, key in (("Mean", "mean"), ("Max", "max"), ("Min", "min")):
        assert f"{name} Reward: {model[key]}" in printed
    head, row = printed[-2:]
    assert head.split()[:6] == ["episodes", "mean", "std", "min", "median", "max"]
    assert row.split()[:2] == ["trained", "5"]


def test_it_leaves_videos_and_a_report_with_them(evaluated: Evaluated, tmp_path: Path) -> None:
    output = evaluated.unpack("output.tar.gz", tmp_path)
    videos = evaluated.found["models"][0]["videos"]
    assert [(output / video["file"]).read_bytes()[4:8] for video in videos] == [b"ftyp"] * 2
    rewards = [episode["reward"] for episode in evaluated.episodes]
    assert [video["reward"] for video in videos] == [max(rewards), min(rewards)]
    report = (output / "report.html").read_text()
    assert report.count("data:video/mp4") == 2
    assert "PPO (trained) in CartPole-v1" in report
    assert all(str(episode["seed"]) in report for episode in evaluated.episodes)


def test_a_reader_that_has_had_enough_does_not_end_it(trained: Finished) -> None:
    words = evaluation(trained.name, "--episodes", "5", "--job", "headed", "--store", str(trained.store))
    process = start(words)
    wait_for_line(process, "Episode reward: ")
    process.stdout.close()
    process.stderr.close()
    assert process.wait(120) == 0
    assert len(Evaluated(trained.store, "headed", Ran(0, "", "")).episodes) == 5


def test_it_is_a_job_of_its_own(evaluated: Evaluated, trained: Finished) -> None:
    record = evaluated.record
    assert record["TrainingJobStatus"] == "Completed"
    assert record["HyperParameters"]["command"] == "evaluate"
    uri = record["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"]
    assert uri == f"{trained.directory}/output/model.tar.gz"
    assert record["FinalMetricDataList"][0]["Value"] == evaluated.found["models"][0]["mean"]
    left = {str(path.relative_to(evaluated.directory)) for path in evaluated.directory.rglob("*") if path.is_file()}
    unpacked = {path for path in left if path.startswith("output/data/")}
    assert left - unpacked == {"job.json", "output/output.tar.gz"}
    assert {"output/data/report.html", "output/data/evaluation.json"} <= unpacked


def test_the_newest_training_job_is_the_default(evaluated: Evaluated) -> None:
    assert evaluate(evaluated.store, "by-default", "--episodes", "5", "--seed", "3", "videos=0").episodes == (
        evaluated.episodes
    )


def test_other_seeds_are_other_episodes_and_more_begin_alike(evaluated: Evaluated, trained: Finished) -> None:
    other = evaluate(evaluated.store, "other-seed", trained.name, "--episodes", "2", "--seed", "4", "videos=0")
    assert not {each["seed"] for each in other.episodes} & {each["seed"] for each in evaluated.episodes}
    fewer = evaluate(evaluated.store, "fewer", trained.name, "--episodes", "2", "--seed", "3", "videos=0")
    assert fewer.episodes == evaluated.episodes[:2]


def test_neither_ray_nor_tensorflow_is_imported(trained: Finished, model: Path, tmp_path: Path) -> None:
    base = opt_ml(tmp_path, {"model": model}, videos="1", evaluate_episodes="1")
    code = (
        "import sys; from rl_app import evaluate; from rl_app.stopping.stop_request import StopRequest; "
        "assert evaluate.run(StopRequest()) == 0; "
        "assert not {'ray', 'tensorflow'} & set(sys.modules)"
    )
    ran = run([sys.executable, "-c", code], SAGEMAKER_BASE_DIR=str(base))
    assert ran.status == 0, ran
    assert list((base / "output/data/videos").iterdir())


def opt_ml(directory: Path, models: Mapping[str, Path], **hyperparameters: str) -> Path:
    """``/opt/ml`` with the files of models in its channels."""
    config = directory / "ml" / "input" / "config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps({"command": "evaluate", **hyperparameters}))
    (config / "resourceconfig.json").write_text(json.dumps({"current_host": "localhost", "hosts": ["localhost"]}))
    (config / "inputdataconfig.json").write_text(json.dumps({name: {} for name in models}))
    for name, files in models.items():
        shutil.copytree(str(files), str(directory / "ml" / "input" / "data" / name))
    return directory / "ml"


def test_a_training_job_whose_command_is_evaluate_evaluates(model: Path, tmp_path: Path) -> None:
    base = opt_ml(tmp_path, {"model": model}, evaluate_episodes="1", videos="0")
    ran = run([sys.executable, "-m", "rl_app", "train"], SAGEMAKER_BASE_DIR=str(base))
    assert (ran.status, "Episode reward: " in ran.stdout) == (0, True), ran
    assert (base / "output/data/evaluation.json").exists()


# ---- the two ways to play


@pytest.fixture(scope="module")
def jobs(trained: Finished) -> Dict[str, Finished]:
    return {"cartpole": trained}


TUPLES = """
import gym
import numpy as np
from gym import spaces

class Tuples(gym.Env):
    observation_space = spaces.Tuple([spaces.Discrete(4), spaces.Box(-1.0, 1.0, (2,), np.float32)])
    action_space = spaces.Tuple(
        [spaces.Discrete(3), spaces.Box(-1.0, 1.0, (2,), np.float32), spaces.MultiDiscrete([2, 3])]
    )

    def seed(self, seed=None):
        self.rng = np.random.default_rng(seed)

    def observation(self):
        return int(self.rng.integers(4)), self.rng.uniform(-1, 1, 2).astype(np.float32)

    def reset(self):
        self.steps = 0
        return self.observation()

    def step(self, action):
        assert self.action_space.contains(action), action
        self.steps += 1
        return self.observation(), float(sum(np.sum(part) for part in action)), self.steps == 20, {}

ENVS = {"tuples": lambda env_config: Tuples()}
"""
TUPLES_EXPERIMENT = """
SMALL = {"train_batch_size": 200, "rollout_fragment_length": 50, "sgd_minibatch_size": 50, "num_sgd_iter": 2}
CONFIG = {"num_workers": 0, "simple_optimizer": True, **SMALL}
EXPERIMENTS = {"tuples": {"run": "PPO", "env": "tuples", "stop": {"training_iteration": 2}, "config": CONFIG}}
"""


def job_of(experiment: str, jobs: Dict[str, Finished], store: Path) -> Finished:
    if experiment not in jobs:
        words = [*QUICK.get(experiment, ()), "seed=1", "config.min_iter_time_s=0"]
        if experiment == "tuples":
            source = store.parent / "tuples"
            source.mkdir()
            (source / "envs.py").write_text(TUPLES)
            (source / "experiments.py").write_text(TUPLES_EXPERIMENT)
            words += ["--source", str(source)]
        ran = run(local(experiment, *words, "--job", experiment, "--store", str(store)))
        assert ran.status == 0, ran
        jobs[experiment] = Finished(store, experiment, ran)
    return jobs[experiment]


@pytest.mark.parametrize(
    ("experiment", "deterministic"),
    [
        ("cartpole", "true"),
        ("cartpole", "false"),
        ("cartpole-dqn", "true"),
        ("pendulum", "true"),
        ("pendulum", "false"),
        ("cartpole-lstm", "true"),
        ("tuples", "true"),
        ("tuples", "false"),
    ],
)
def test_the_restored_agent_plays_the_same_episodes(
    experiment: str, deterministic: str, jobs: Dict[str, Finished], tmp_path: Path, store: Path
) -> None:
    job = job_of(experiment, jobs, store)
    words = (str(job.directory), f"deterministic={deterministic}", "--episodes", "3", "--seed", "5", "videos=0")
    exported = evaluate(tmp_path, "exported", *words)
    restored = evaluate(tmp_path, "restored", *words, "--restore")
    assert "played by onnxruntime" in exported.ran.stdout and "played by ray" in restored.ran.stdout
    assert "a pickle" in restored.ran.stdout and "a pickle" not in exported.ran.stdout
    for ours, rays in zip(exported.episodes, restored.episodes):
        assert (ours["seed"], ours["length"]) == (rays["seed"], rays["length"])
        assert ours["reward"] == pytest.approx(rays["reward"], rel=ROUNDING.get(experiment, 0))
    assert len(exported.episodes) == len(restored.episodes) == 3


def test_without_policy_onnx_tensorflow_plays_the_same_episodes(
    evaluated: Evaluated, model: Path, tmp_path: Path
) -> None:
    shutil.copytree(str(model), str(tmp_path / "model"))
    (tmp_path / "model" / "policy.onnx").unlink()
    done = evaluate(tmp_path, "by-tensorflow", str(tmp_path / "model"), "--episodes", "5", "--seed", "3", "videos=1")
    assert "played by tensorflow" in done.ran.stdout
    assert done.episodes == evaluated.episodes
    (found,) = done.found["models"]
    assert found["played_by"] == "tensorflow" and len(found["videos"]) == 1


def test_a_model_of_awss_launcher_is_restored(evaluated: Evaluated, model: Path, tmp_path: Path) -> None:
    """Its params.json is what Tune was given, its policy the plain network that Ray makes of use_lstm."""
    aws = tmp_path / "model"
    shutil.copytree(str(model), str(aws))
    (aws / "policy.json").unlink()
    (aws / "policy.onnx").unlink()
    params = json.loads((aws / "params.json").read_text())
    given = {key: params[key] for key in ("gamma", "lr", "num_sgd_iter", "train_batch_size", "env")}
    given.update(monitor=True, num_workers=7, callbacks={"on_train_result": "<function log at 0x7f>"})
    given["model"] = {"free_log_std": True, "use_lstm": True, "fcnet_hiddens": params["model"]["fcnet_hiddens"]}
    (aws / "params.json").write_text(json.dumps(given))
    with tarfile.open(str(tmp_path / "model.tar.gz"), "w:gz") as tar:
        for path in aws.iterdir():
            tar.add(str(path), path.name)
        assert {name.split("/")[0] for name in tar.getnames()} == {
            "checkpoint",
            "checkpoint.tune_metadata",
            "params.json",
            "1",
        }
    words = (str(tmp_path / "model.tar.gz"), "evaluate_episodes=5", "seed=3", "videos=0", "env=CartPole-v1")
    refused = evaluate(tmp_path / "runs", "refused", *words, status=2)
    assert "give algorithm=PPO" in refused.ran.stderr
    assert "a pickle" not in refused.ran.stdout  # nor was Ray started
    done = evaluate(tmp_path / "runs", "done", *words, "algorithm=PPO")
    assert "a pickle" in done.ran.stdout
    assert done.episodes == evaluated.episodes
    assert done.found["models"][0]["policy"]["algorithm"] == "PPO"


# ---- several models


def test_models_are_compared_on_the_same_seeds(trained: Finished, model: Path, tmp_path: Path) -> None:
    worse = tmp_path / "worse"
    write_model(worse, gym.make("CartPole-v1").observation_space, spaces.Discrete(2), env="CartPole-v1", env_config={})
    base = opt_ml(tmp_path, {"good": model, "worse": worse}, evaluate_episodes="6", videos="0")
    ran = run([sys.executable, "-m", "rl_app", "evaluate"], SAGEMAKER_BASE_DIR=str(base))
    assert ran.status == 0, ran
    found = json.loads((base / "output/data/evaluation.json").read_text())
    good, other = (each["episodes"] for each in found["models"])
    assert [each["seed"] for each in good] == [each["seed"] for each in other]
    (difference,) = found["differences"]
    assert [each["model"] for each in found["models"]] == ["good", "worse"]
    assert (difference["model"], difference["against"], difference["n"]) == ("worse", "good", 6)
    assert difference["mean"] == pytest.approx(np.mean([b["reward"] - a["reward"] for a, b in zip(good, other)]))
    assert difference["confidence_interval"][0] < difference["mean"] < difference["confidence_interval"][1]
    assert any(line.startswith("worse - good ") for line in ran.stdout.splitlines())
    assert "worse - good" in (base / "output/data/report.html").read_text()


# ---- environments of the user's, and every kind of space

ENVIRONMENT = """
import gym
import numpy as np
from gym import spaces

OBSERVATIONS = {observations}
ACTIONS = {actions}

class Mine(gym.Env):
    observation_space, action_space = OBSERVATIONS, ACTIONS

    def __init__(self, length=7):
        self.length = length

    def seed(self, seed=None):
        self.observation_space.seed(seed)

    def reset(self):
        self.steps = 0
        return self.observation_space.sample()

    def step(self, action):
        assert self.action_space.contains(action), action
        self.steps += 1
        parts = action if isinstance(action, tuple) else (action,)
        reward = sum(float(np.sum(part)) for part in parts) + np.random.uniform()
        return self.observation_space.sample(), reward, self.steps == self.length, {{}}

ENVS = {{"mine": lambda env_config: Mine(**env_config)}}
"""
BOX_TEXT = "spaces.Box(-10.0, 10.0, (4,), np.float32)"
SPACES = {
    "Box to Discrete, with memory": (BOX_TEXT, "spaces.Discrete(3)", 4),
    "Box to Box": (BOX_TEXT, "spaces.Box(-1.0, 1.0, (2,), np.float32)", 0),
    "Discrete to MultiDiscrete": ("spaces.Discrete(5)", "spaces.MultiDiscrete([3, 4])", 0),
    "Dict to Tuple": (
        f"spaces.Dict({{'b': {BOX_TEXT}, 'a': spaces.Discrete(3)}})",
        "spaces.Tuple([spaces.Discrete(3), spaces.Box(-1.0, 1.0, (2,), np.float32)])",
        0,
    ),
    "Tuple to Discrete": (f"spaces.Tuple([{BOX_TEXT}, spaces.MultiBinary(3)])", "spaces.Discrete(2)", 0),
}


def mine(directory: Path, kind: str, **facts: Any) -> "tuple[Path, Path]":
    """A model for spaces of this kind, and the source directory of an environment that has them."""
    observations, actions, memory = SPACES[kind]
    source = directory / "source"
    source.mkdir()
    (source / "envs.py").write_text(ENVIRONMENT.format(observations=observations, actions=actions))
    named = {"spaces": spaces, "np": np}
    made = write_model(
        directory / "made",
        eval(observations, named),
        eval(actions, named),
        memory,
        **{"env": "mine", "env_config": {"length": 9}, **facts},
    )
    return made, source


@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize("deterministic", ["true", "false"])
def test_every_kind_of_space_is_played_and_repeated(kind: str, deterministic: str, tmp_path: Path) -> None:
    model, source = mine(tmp_path, kind)
    words = (str(model), "--source", str(source), f"deterministic={deterministic}", "--episodes", "3")
    first = evaluate(tmp_path, "first", *words)
    assert [each["length"] for each in first.episodes] == [9, 9, 9]  # of env_config, as it was trained
    assert "no videos: env = mine: its metadata names no render mode rgb_array" in first.ran.stdout
    assert first.record["TrainingJobStatus"] == "Completed"
    assert evaluate(tmp_path, "again", *words).episodes == first.episodes
    assert evaluate(tmp_path, "other", *words, "--seed", "1").episodes != first.episodes


def test_the_code_that_a_job_was_trained_with_is_found_again(tmp_path: Path) -> None:
    model, source = mine(tmp_path, "Box to Box")
    job = tmp_path / "runs" / "trained"
    for name, directory in (("output/model.tar.gz", model), ("source/sourcedir.tar.gz", source)):
        (job / name).parent.mkdir(parents=True)
        with tarfile.open(str(job / name), "w:gz") as tar:
            for path in directory.iterdir():
                tar.add(str(path), path.name)
    done = evaluate(tmp_path / "runs", "evaluated", "trained", "--episodes", "2")
    assert [each["length"] for each in done.episodes] == [9, 9]
    assert (done.directory / "source" / "sourcedir.tar.gz").exists()


def test_episodes_are_cut_where_the_training_cut_them(tmp_path: Path) -> None:
    model, source = mine(tmp_path, "Box to Box")
    (model / "params.json").write_text(json.dumps({"horizon": 5}))
    words = (str(model), "--source", str(source), "--episodes", "1")
    assert [(each["length"], each["cut"]) for each in evaluate(tmp_path, "as-trained", *words).episodes] == [(5, True)]
    longer = evaluate(tmp_path, "longer", *words, "max_steps=9").episodes
    assert [(each["length"], each["cut"]) for each in longer] == [(9, False)]


# ---- stops and refusals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_keeps_what_was_played(number: int, trained: Finished, tmp_path: Path) -> None:
    words = (str(trained.directory), "--episodes", "1000000", "--job", "stopped", "--store", str(tmp_path))
    process = start(evaluation(*words))
    wait_for_line(process, "Episode reward: ")
    ran: Ran = stop(process, number)
    done = Evaluated(tmp_path, "stopped", ran)
    assert ran.status == 128 + number, ran
    assert done.record["TrainingJobStatus"] == done.found["state"] == "Stopped"
    assert 1 <= done.found["models"][0]["n"] == len(done.episodes) < 1000000
    assert "stopped as asked" in ran.stdout


def test_an_episode_without_end_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, source = mine(tmp_path, "Box to Box", env_config={"length": -1})
    hasty = (
        "import sys; from rl_app import evaluate; from rl_app.evaluation import playing; "
        "playing.EPISODE_GRACE_S = 0.2; sys.exit(evaluate.command())"
    )
    base = opt_ml(tmp_path, {"model": model}, sagemaker_submit_directory=str(source))
    process = start([sys.executable, "-c", hasty], SAGEMAKER_BASE_DIR=str(base))
    wait_for_line(process, "played by")
    ran = stop(process)
    assert (ran.status, "stopped as asked, after 0 of 10 episodes" in ran.stdout) == (0, True), ran
    found = json.loads((base / "output/data/evaluation.json").read_text())
    assert (found["state"], found["models"][0]["n"], found["models"][0]["mean"]) == ("Stopped", 0, None)
    assert "No episode was played to its end" in (base / "output/data/report.html").read_text()


@pytest.mark.parametrize(
    ("change", "hyperparameters", "expected"),
    [
        (None, {"env": "CartPole-v9"}, "env = CartPole-v9: no environment"),
        (None, {"env": "Pendulum-v1"}, "env = Pendulum-v1: its observation_space is "),
        (None, {"algorithm": "DQN"}, "algorithm = DQN: but trained was trained by PPO"),
        (None, {"evaluate_episodes": "0"}, "evaluate_episodes = 0: must be 1 or more"),
        (None, {"command": "train"}, "command = train: but the container was started to evaluate"),
        (None, {"command": '"evaluate"', "evaluate_episodes": "0"}, "evaluate_episodes = 0: must be 1 or more"),
        (None, {"sagemaker_program": "mine.py"}, "sagemaker_program = mine.py: evaluate runs no program"),
        ("policy.onnx", {}, "policy.onnx: no such file"),
        ("policy.json", {}, "algorithm: model does not say by which it was trained"),
        ("params.json", {"restore": "true"}, "params.json: no such file; an agent is restored from it"),
        ("", {}, "no channel: an evaluation finds its model in the channel `model`"),
    ],
)
def test_what_the_user_can_fix_is_one_line_and_status_2(
    change: Optional[str], hyperparameters: Dict[str, str], expected: str, model: Path, tmp_path: Path
) -> None:
    base = opt_ml(tmp_path, {} if change == "" else {"model": model}, **hyperparameters)
    if change:
        files: Sequence[str] = ("policy.onnx", "1/saved_model.pb") if change == "policy.onnx" else (change,)
        for file in files:
            (base / "input/data/model" / file).unlink()
    words = [sys.executable, "-m", "rl_app", "evaluate"]
    done = subprocess.run(
        words,
        cwd=str(REPOSITORY),
        env={**os.environ, "SAGEMAKER_BASE_DIR": str(base)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=60,
    )
    assert done.returncode == 2, done
    (said,) = done.stderr.splitlines()
    assert expected in said
    assert (base / "output/failure").read_text() == said


def test_a_fault_of_the_environment_keeps_what_was_played(tmp_path: Path) -> None:
    model, source = mine(tmp_path, "Box to Box")
    file = source / "envs.py"
    text = file.read_text().replace("    def __init__", "    n = 0\n\n    def __init__")
    file.write_text(text.replace("self.steps += 1", "self.steps += 1; Mine.n += 1; assert Mine.n < 21"))
    done = evaluate(tmp_path, "failed", str(model), "--source", str(source), status=2)
    assert "env = mine: step raised AssertionError" in done.ran.stderr
    assert (done.found["state"], len(done.episodes)) == ("Failed", 2)
