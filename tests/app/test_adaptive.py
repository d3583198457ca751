"""What adapts goes on after a restart as if there had been none; and numbers that are none are never saved."""

from __future__ import annotations

import random
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Tuple

import numpy as np
import pytest

from rl_app.errors import JobError
from rl_app.job.hyperparameters import parse
from rl_app.machine import Machine
from rl_app.training import adaptive, checkpoints, ray_runtime
from rl_app.training.trial import Trial, build_trainer, try_environment
from tests.app.jobs import REPOSITORY

MACHINE = Machine(2, 0)
SMALL = {"num_workers": 0, "min_iter_time_s": 0, "rollout_fragment_length": 20, "train_batch_size": 40}
REPLAY = {"learning_starts": 20, "timesteps_per_iteration": 40, "buffer_size": 500}
CASES: Dict[str, Mapping[str, Any]] = {
    "PPO": {**SMALL, "sgd_minibatch_size": 20, "num_sgd_iter": 4, "simple_optimizer": True, "kl_target": 1e-6},
    "DQN": {**SMALL, **REPLAY},
    "SAC": {**SMALL, **REPLAY},
}


@pytest.fixture(scope="module")
def ray_running() -> Iterator[None]:
    with ray_runtime.running(MACHINE):
        yield


def agent(algorithm: str, directory: Path, fast: bool = True, **config: Any) -> Any:
    experiment = {"run": algorithm, "env": "CartPole-v1", "config": {**CASES[algorithm], **config}}
    asked = {"experiment": "case", "seed": "1", **({} if fast else {"fast": "false"})}
    job = parse(asked, MACHINE, {"case": experiment})
    directory.mkdir()
    return build_trainer(Trial(job, {}), directory)


def held(trained: Any) -> Dict[str, Any]:
    """All that TensorFlow holds of the policy."""
    policy = trained.get_policy()
    variables = policy.get_session().graph.get_collection("variables")
    return dict(zip([each.name for each in variables], policy.get_session().run(variables)))


def episodes_of(trained: Any) -> List[Any]:
    """The length and reward of each episode that the mean reward is taken over, where they are within reach."""
    optimizer = getattr(trained, "optimizer", None)
    return [(each.episode_length, each.episode_reward) for each in optimizer.episode_history] if optimizer else []


@pytest.mark.parametrize("algorithm", CASES)
def test_everything_that_adapts_is_set_back(algorithm: str, ray_running: None, tmp_path: Path) -> None:
    first = agent(algorithm, tmp_path / "first")
    for _ in range(4):
        first.train()
    checkpoints.save(first, tmp_path / "checkpoints")
    expected, drawn = held(first), (random.random(), np.random.random())
    coefficient = getattr(first.get_policy(), "kl_coeff_val", None)
    clock = first.get_policy().global_timestep
    window = episodes_of(first)
    first.stop()

    second = agent(algorithm, tmp_path / "second")
    try:
        checkpoints.restore_newest(second, tmp_path / "checkpoints", print)
        found = held(second)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value, err_msg=name)
        assert getattr(second.get_policy(), "kl_coeff_val", None) == coefficient
        assert second.get_policy().global_timestep == clock > 0
        assert (random.random(), np.random.random()) == drawn
        assert episodes_of(second) == window
        if algorithm == "PPO":
            assert window
            assert coefficient > 0.2  # with which it began
            assert any("Adam" in name for name in found)
            learner = second.train()["info"]["learner"]
            assert learner.get("default_policy", learner)["cur_kl_coeff"] == pytest.approx(coefficient)
        assert bool(adaptive.not_kept(second)) == (algorithm != "PPO")
    finally:
        second.stop()


@pytest.fixture
def rally(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the example, under a name by which Ray finds it again."""
    spec = spec_from_file_location("rally_envs", str(REPOSITORY / "examples" / "rally" / "envs.py"))
    assert spec is not None and spec.loader is not None
    found = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "rally_envs", found)
    spec.loader.exec_module(found)
    return found


def two_players(rally: Any, directory: Path) -> Any:
    """An agent whose two policies play against each other, of which one learns ten times as fast."""
    policies = {"near": {"lr": 1e-3, "kl_target": 1e-6}, "far": {"lr": 1e-4}}
    config = {**CASES["PPO"], "kl_target": 1e6, "multiagent": {"policies": policies}}
    job = parse({"experiment": "two", "seed": "1"}, MACHINE, {"two": {"run": "PPO", "env": "rally", "config": config}})
    directory.mkdir()
    return build_trainer(try_environment(Trial(job, {"rally": lambda _: rally.Rally()}), False, print), directory)


def test_each_of_several_policies_is_set_back(rally: Any, ray_running: None, tmp_path: Path) -> None:
    first = two_players(rally, tmp_path / "first")
    for _ in range(4):
        result = first.train()
    checkpoints.save(first, tmp_path / "checkpoints")
    variables = variables_of(first)
    expected = first.get_policy("near").get_session().run(variables)
    coefficients = {name: first.get_policy(name).kl_coeff_val for name in ("near", "far")}
    rewards = [each.agent_rewards for each in first.optimizer.episode_history]
    first.stop()
    assert coefficients["near"] > 0.2 > coefficients["far"] and rewards and result["policy_reward_mean"]

    second = two_players(rally, tmp_path / "second")
    try:
        checkpoints.restore_newest(second, tmp_path / "checkpoints", print)
        assert [each.name for each in variables_of(second)] == [each.name for each in variables]
        for name, ours, theirs in zip(
            variables, second.get_policy("far").get_session().run(variables_of(second)), expected
        ):
            np.testing.assert_array_equal(ours, theirs, err_msg=name.name)
        assert {name: second.get_policy(name).kl_coeff_val for name in coefficients} == coefficients
        assert [each.agent_rewards for each in second.optimizer.episode_history] == rewards
        assert adaptive.not_kept(second) is None
    finally:
        second.stop()


def variables_of(trained: Any) -> List[Any]:
    """What TensorFlow holds of all policies, which have one graph."""
    return list(trained.get_policy("near").get_session().graph.get_collection("variables"))


def holder_of(trained: Any) -> Any:
    """What has the replay buffer, and gives batches of it."""
    return trained.optimizer or trained.local_replay[0]


def buffer_of(trained: Any) -> Any:
    return holder_of(trained).replay_buffers["default_policy"]


def drawn_from(trained: Any) -> Dict[str, Any]:
    """A batch that the agent would learn from next."""
    random.seed(1)
    np.random.seed(1)
    holder = holder_of(trained)
    batch = holder._replay() if trained.optimizer else holder.replay()
    return dict(batch.policy_batches["default_policy"].items())


@pytest.mark.parametrize("algorithm", ["DQN", "SAC"])
def test_the_replay_buffer_goes_on_where_it_is_not_too_large(algorithm: str, ray_running: None, tmp_path: Path) -> None:
    first = agent(algorithm, tmp_path / "first")
    for _ in range(3):
        first.train()
    saved = checkpoints.save(first, tmp_path / "kept", 1 << 20)
    checkpoints.save(first, tmp_path / "too-large", 100)
    steps, batch, epsilon = len(buffer_of(first)), drawn_from(first), first.get_policy().get_exploration_info()
    first.stop()
    assert steps >= 120

    second = agent(algorithm, tmp_path / "second")
    checkpoints.restore_newest(second, tmp_path / "kept", print)
    found = drawn_from(second)
    assert len(buffer_of(second)) == steps
    for name, value in batch.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert "replay buffer" not in str(adaptive.not_kept(second))
    assert second.get_policy().get_exploration_info() == epsilon
    second.train()  # goes on filling it
    assert len(buffer_of(second)) > steps
    second.stop()

    third = agent(algorithm, tmp_path / "third")
    checkpoints.restore_newest(third, tmp_path / "too-large", print)
    assert len(buffer_of(third)) == 0
    assert "the replay buffer, which starts empty" in str(adaptive.not_kept(third))
    third.stop()
    assert saved.path.with_name(f"{saved.path.name}.replay.npz").stat().st_size < 1 << 20


def test_a_checkpoint_of_before_is_restored_without(ray_running: None, tmp_path: Path) -> None:
    trained = agent("PPO", tmp_path / "first")
    try:
        trained.train()
        saved = checkpoints.save(trained, tmp_path / "checkpoints")
        adaptive.file_beside(saved.path).unlink()
        assert checkpoints.restore_newest(trained, tmp_path / "checkpoints", print) == saved
    finally:
        trained.stop()


@pytest.mark.parametrize("ways", [(True, False), (False, True)])
@pytest.mark.parametrize("simple", [True, False])
def test_a_job_goes_on_by_the_other_way_to_learn(
    ways: Tuple[bool, bool], simple: bool, ray_running: None, tmp_path: Path
) -> None:
    """Adam's variables have other names there, and are new; they were a checkpoint that cannot be read."""
    first, second = (agent("PPO", tmp_path / str(way), way, simple_optimizer=simple) for way in ways)
    said: List[str] = []
    try:
        for _ in range(4):
            first.train()
        saved = checkpoints.save(first, tmp_path / "checkpoints")
        assert checkpoints.restore_newest(second, tmp_path / "checkpoints", said.append) == saved
        expected, found = held(first), held(second)
        for name in [*(f"{each}:0" for each in first.get_policy().get_weights()), "default_policy/kl_coeff:0"]:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
        assert second.get_policy().kl_coeff_val == first.get_policy().kl_coeff_val > 0.2
        assert second.get_policy().global_timestep == first.get_policy().global_timestep
        assert not any(value.any() for name, value in found.items() if "Adam" in name)
        assert said == ["what the optimizer has gathered is of another way to learn, and new; all else goes on"]
        assert second.train()["training_iteration"] == 5
    finally:
        first.stop()
        second.stop()


def test_weights_that_are_no_numbers_are_not_saved(ray_running: None, tmp_path: Path) -> None:
    trained = agent("PPO", tmp_path / "first")
    try:
        trained.train()
        good = checkpoints.save(trained, tmp_path / "checkpoints")
        weights = trained.get_policy().get_weights()
        name = next(iter(weights))
        trained.get_policy().set_weights({**weights, name: np.full_like(weights[name], np.nan)})
        trained._iteration = 2
        with pytest.raises(JobError, match=r"^iteration 2: the weights .* are no longer finite numbers: its training"):
            checkpoints.save(trained, tmp_path / "checkpoints")
        assert checkpoints.kept(tmp_path / "checkpoints") == [good]
    finally:
        trained.stop()
