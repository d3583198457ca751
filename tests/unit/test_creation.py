"""Making environments: what a constructor is given, those that Gym knows by name, and what becomes of their end."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Dict, List, Mapping

import cloudpickle  # type: ignore[import-untyped]
import gym
import numpy as np
import pytest
from gym import spaces
from ray.rllib.env.env_context import EnvContext

from rl_app.envs.contract.checked import Manner
from rl_app.envs.contract.creation import creator
from rl_app.envs.contract.trial import try_out
from rl_app.errors import UserError
from tests.app.jobs import REPOSITORY

WALK = """
import gym

class Walk(gym.Env):
    observation_space, action_space = gym.spaces.Discrete({states}), gym.spaces.Discrete(2)

    def reset(self):
        return 1

gym.register("{name}", entry_point="{module}:Walk")
"""
CONFIG: Mapping[str, Any] = {"horizon": None, "model": {"custom_model": None, "use_lstm": False}}
TRIAL: Mapping[str, Any] = {"run": "PPO", "config": {}}


class Still(gym.Env):
    observation_space: Any = spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space: Any = spaces.Discrete(2)

    def reset(self, **_: Any) -> Any:
        return np.zeros(2, np.float32)


def module(folder: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(folder)


def test_a_constructor_is_told_of_which_worker_its_environment_is() -> None:
    given: List[Any] = []
    create = creator("mine", None, {"mine": lambda env_config: given.append(env_config) or Still()})
    create(EnvContext({"size": 3}, worker_index=2, vector_index=1))
    create({"size": 3})
    assert [(each, each.worker_index, each.vector_index) for each in given] == [
        ({"size": 3}, 2, 1),
        ({"size": 3}, 0, 0),
    ]


def test_what_one_takes_out_of_its_config_is_there_for_the_next() -> None:
    table = np.zeros(3)

    def constructor(env_config: Dict[str, Any]) -> Any:
        assert env_config["maze"].pop("size") == 3 and env_config["doors"].pop()["at"] == 1
        assert env_config["table"] is table, "what may be large is not copied"
        return Still()

    config = {"maze": {"size": 3}, "doors": [{"at": 1}], "table": table}
    for _ in range(2):
        creator("mine", None, {"mine": constructor})(config)


@pytest.mark.parametrize("name", ["Walk-v0", "walks:Walk-v0"])
def test_what_is_registered_with_gym_is_made_in_every_process(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module(tmp_path, "walks", WALK.format(states=3, name="Walk-v0", module="walks"), monkeypatch)
    __import__("walks")
    create = cloudpickle.dumps(creator(name))
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer)({}).reset())"
    there = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}"}
    asked = subprocess.run([sys.executable, "-c", code], input=create, env=there, stdout=subprocess.PIPE, check=True)
    assert asked.stdout == b"1\n"
    assert pickle.loads(create)({}).reset() == 1


def test_a_module_that_registers_is_imported_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module(tmp_path, "far", WALK.format(states=3, name="Far-v0", module="far"), monkeypatch)
    assert creator("far:Far-v0")({}).observation_space.n == 3


def test_a_module_that_fails_is_told_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module(tmp_path, "broken", "\n1 / 0\n", monkeypatch)
    with pytest.raises(UserError, match=r"env = broken:It-v0: importing its module raised Zero.* \(broken.py:2\)"):
        creator("broken:It-v0")


@pytest.mark.parametrize("name", ["nowhere:It-v0", "CartPole-v9", "Nowhere/It-v0", "CartPole", "-", "CartPol-v1"])
def test_what_gym_does_not_know_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"env = {name}: no environment of this job or of gym"):
        creator(name)


def test_a_package_of_environments_is_told_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "__init__.py").write_text("ENVS = {}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "envs", raising=False)
    with pytest.raises(UserError, match=r"; the package envs/ is not looked into, but a file envs\.py is$"):
        creator("mine-in-a-package")


def test_a_file_beside_the_code_is_told_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "levels").mkdir()
    (tmp_path / "levels" / "1.txt").write_text("#")
    module(tmp_path, "leveled", "def make(env_config):\n    open(env_config['level'])\n", monkeypatch)
    create = creator("leveled", None, {"leveled": __import__("leveled").make})
    with pytest.raises(UserError, match=r"'levels/1.txt'; it lies beside the code, .*with_name.* \(leveled.py:2\)"):
        create({"level": "levels/1.txt"})
    with pytest.raises(UserError, match=r"'levels/2.txt' \(leveled.py:2\)"):
        create({"level": "levels/2.txt"})


def test_an_end_that_raises_ends_nothing_and_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    class Open(Still):
        def close(self) -> None:
            self.viewer.close()

    creator("open", None, {"open": lambda _: Open()})({}).close()
    said = capsys.readouterr().err
    assert said.startswith("env = open: close raised AttributeError: 'Open' object has no attribute 'viewer' (")


def test_an_end_that_raises_hides_no_other_reason() -> None:
    class Wrong(Still):
        def reset(self, **_: Any) -> Any:
            return np.zeros(3)

        def close(self) -> None:
            raise RuntimeError("not open")

    create = creator("wrong", None, {"wrong": lambda _: Wrong()}, Manner(strict=True))
    with pytest.raises(UserError, match="env = wrong: reset gave an observation outside its space"):
        try_out(create, "wrong", TRIAL, CONFIG, 1)


def test_pictures_with_the_channels_first_are_told_so() -> None:
    class Stacked(Still):
        observation_space = spaces.Box(0, 255, (4, 84, 84), np.uint8)

    config = {**CONFIG, "model": {**CONFIG["model"], "conv_filters": None}}
    create = creator("stacked", None, {"stacked": lambda _: Stacked()})
    with pytest.raises(UserError, match="or others; the last axis is the channels', and here the first may be"):
        try_out(create, "stacked", TRIAL, config, 1)


def test_an_info_that_workers_cannot_hand_on_is_refused_where_there_are_some() -> None:
    class Locked(Still):
        def step(self, action: Any) -> Any:
            return self.reset(), 1.0, True, {"lock": threading.Lock()}

    create = creator("locked", None, {"locked": lambda _: Locked()})
    try_out(create, "locked", TRIAL, {**CONFIG, "num_workers": 0}, 1)
    refused = "env = locked: step gave an info that cannot be pickled, .*lock.*; .*num_workers=0 has none .*py:[0-9]*.$"
    with pytest.raises(UserError, match=refused):
        try_out(create, "locked", TRIAL, {**CONFIG, "num_workers": 1}, 1)


class Cut(gym.ObservationWrapper):  # type: ignore[misc]  # gym has no types
    def observation(self, observation: Any) -> Any:
        return observation[:1]


class Late(gym.Wrapper):  # type: ignore[misc]
    def reset(self, **kwargs: Any) -> Any:
        return self.env.reset(**kwargs)[:1]


@pytest.mark.parametrize(("wrapper", "method"), [(Cut, Cut.observation), (Late, Late.reset)])
def test_what_a_wrapper_gives_wrong_is_told_with_the_wrappers_line(wrapper: Any, method: Any) -> None:
    env = creator("cut", None, {"cut": lambda _: gym.wrappers.TimeLimit(wrapper(Still()), 9)})({})
    with pytest.raises(UserError, match=rf"the shape \[1\].* \(.*py:{method.__code__.co_firstlineno}\)$"):
        env.reset()


class Plain(Still):
    def __init__(self) -> None:
        """Take no config."""

    def seed(self) -> None:  # type: ignore[override]
        """Take no seed."""


def test_a_method_with_other_parameters_is_told_with_its_line() -> None:
    with pytest.raises(UserError, match=r"constructor raised TypeError: .* \(.*test_creation.py:[0-9]+\)"):
        creator("plain", None, {"plain": Plain})({})
    with pytest.raises(UserError, match=rf"seed raised.* \(.*py:{Plain.seed.__code__.co_firstlineno}\)"):
        creator("plain", 1, {"plain": lambda _: Plain()})({})


@pytest.mark.parametrize(
    ("box", "given", "is_outside"),
    [
        (spaces.Box(-1.0, 1.0, (1,), np.float32), 1.0000002, False),
        (spaces.Box(-1.0, 1.0, (1,), np.float32), 1.00001, True),
        (spaces.Box(-np.pi, np.pi, (1,), np.float64), float(np.float32(np.pi)), False),
        (spaces.Box(0.0, np.inf, (1,), np.float32), -3e-17, False),
        (spaces.Box(0.0, np.inf, (1,), np.float32), -0.001, True),
        (spaces.Box(0.0, 1e-9, (1,), np.float64), 1.1e-9, True),
        (spaces.Box(-3e38, 3e38, (1,), np.float32), 3.2e38, True),
    ],
)
def test_a_number_out_of_bounds_by_rounding_alone_is_none(box: Any, given: float, is_outside: bool) -> None:
    class Edge(Still):
        observation_space = box

        def reset(self, **_: Any) -> Any:
            return np.array([given])

    env = creator("edge", None, {"edge": lambda _: Edge()}, Manner(strict=True))({})
    if is_outside:
        with pytest.raises(UserError, match="outside its space"):
            env.reset()
    else:
        assert env.reset()[0] == box.dtype.type(given)
