"""What an environment of several agents is held to: each breach is one line with the agent, the file and the line."""

from __future__ import annotations

import re
import time
from typing import Any, Dict, Mapping, Optional

import numpy as np
import pytest
from gym import spaces
from ray.rllib.agents.ppo.ppo_tf_policy import PPOTFPolicy
from ray.rllib.env import MultiAgentEnv
from ray.rllib.policy.policy import Policy

from rl_app.errors import UserError
from rl_app.job.hyperparameters import parse
from rl_app.machine import Machine
from rl_app.training.trial import Trial, try_environment

BOX, THREE = spaces.Box(-1.0, 1.0, (2,), np.float32), spaces.Discrete(3)
ZEROS = np.zeros(2, np.float32)


class Pair(MultiAgentEnv):
    """Two agents that act in each of four steps; ``wrong`` is what a test has one of its methods give."""

    observation_space: Any = BOX
    action_space: Any = THREE

    def __init__(self, **wrong: Any) -> None:
        self.wrong = wrong

    def reset(self) -> Any:
        self.steps = 0
        return self.wrong.get("reset", {"a": ZEROS, "b": ZEROS})

    def step(self, actions: Mapping[str, Any]) -> Any:
        self.steps += 1
        assert set(actions) <= {"a", "b"} and all(THREE.contains(action) for action in actions.values())
        given = {
            "observations": {"a": ZEROS, "b": ZEROS},
            "rewards": {"a": 1.0, "b": np.float32(0.5)},
            "dones": {"__all__": self.steps == 4},
            "infos": {},
        }
        given.update({name: value for name, value in self.wrong.items() if name in given})
        if "sleep" in self.wrong:
            time.sleep(self.wrong["sleep"])
        return self.wrong.get("step", tuple(given.values()))


class Own(Pair):
    """Each agent has spaces of its own."""

    observation_space: Any = {"a": BOX, "b": THREE}  # noqa: RUF012
    action_space: Any = {"a": THREE, "b": THREE}  # noqa: RUF012

    def reset(self) -> Any:
        return {**super().reset(), "b": 1}

    def step(self, actions: Mapping[str, Any]) -> Any:
        observations, *rest = super().step(actions)
        return ({**observations, "b": 2}, *rest)


class Bare(Pair):
    """The environment declares no spaces."""

    observation_space = action_space = None


def tried(env: Any, config: Optional[Mapping[str, Any]] = None, export: str = "true", **multiagent: Any) -> Trial:
    settings: Dict[str, Any] = {"multiagent": multiagent, **(config or {})}
    job = parse(
        {"experiment": "pair", "env_deadline": "1", "export": export},
        Machine(2, 0),
        {"pair": {"run": "PPO", "env": "pair", "config": settings}},
    )
    return try_environment(Trial(job, {"pair": lambda _: env}), False, print)


def refusal(env: Any, config: Optional[Mapping[str, Any]] = None, **multiagent: Any) -> str:
    with pytest.raises(UserError) as caught:
        tried(env, config, **multiagent)
    text = str(caught.value)
    assert "\n" not in text
    return text


TWO = {"policies": {"a": {}, "b": {}}}


def test_one_space_for_all_is_every_policys_and_one_policy_may_be_all_agents() -> None:
    assert tried(Pair()).several is None
    several = tried(Pair(), **TWO).several
    assert several is not None and several.table == {"a": "a", "b": "b"}
    assert {name: each[1]["n"] for name, each in several.spaces.items()} == {"a": 3, "b": 3}


def test_spaces_left_out_of_the_policies_are_those_of_the_agents() -> None:
    several = tried(Own(), **TWO).several
    assert several is not None
    assert [space["type"] for space, _ in several.spaces.values()] == ["Box", "Discrete"]


def test_an_agent_that_has_spaces_and_is_not_seen_yet_has_a_policy_too() -> None:
    class Later(Pair):
        observation_space: Any = {"a": BOX, "b": BOX, "late": THREE}  # noqa: RUF012

    Later.action_space = dict.fromkeys(("a", "b", "late"), THREE)
    said = {"policies": {"x": {}, "y": {}}, "policy_mapping_fn": lambda agent: "y" if agent == "late" else "x"}
    several = tried(Later(), **said).several
    assert several is not None and several.table == {"a": "x", "b": "x", "late": "y"}
    assert several.spaces["y"][0]["type"] == "Discrete"


def test_spaces_of_the_policies_are_those_of_an_environment_without() -> None:
    policies = {"both": (None, BOX, THREE, {})}
    several = tried(Bare(), policies=policies, policy_mapping_fn=lambda agent: "both").several
    assert several is not None and several.table == {"*": "both"}


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"reset": {"a": ZEROS, (0, 1): ZEROS}}, "env = pair: its agents 'a' and (0, 1): RLlib sorts agents by name"),
        ({"reset": ZEROS}, "reset gave array([0., 0.], dtype=float32) (float32 [2]) for observations: expected a dict"),
        ({"reset": {}}, "reset gave no observation, so that nobody acts"),
        ({"reset": ({"a": ZEROS}, {})}, "for observations: expected a dict by agent"),
        ({"reset": {"a": np.zeros(3, np.float32)}}, "env = pair, agent a: reset gave an observation outside its space"),
        ({"observations": {"a": ZEROS, "b": ZEROS * np.nan}}, "env = pair, agent b: step gave an observation with nan"),
        ({"rewards": {"a": 1.0, "b": "much"}}, "env = pair, agent b: step gave the reward 'much': expected a finite"),
        ({"rewards": {"a": 1.0}}, "step gave an observation of b and no reward: RLlib takes"),
        ({"rewards": {"a": 1.0, "b": 1.0, "c": 1.0}}, "step gave a reward of c and no observation"),
        ({"dones": {"a": False}}, "step gave dones without __all__, which says whether the episode is over"),
        ({"dones": {"__all__": "no"}}, "step gave 'no' for done: expected True or False"),
        ({"dones": True}, "step gave True for dones: expected a dict by agent"),
        (
            {"observations": {"a": ZEROS}, "rewards": {"a": 0}, "dones": {"__all__": True}},
            "step gave an end of the agent b and no observation: an agent whose episode ends has to be given its last",
        ),
        (
            {"observations": {"a": ZEROS}, "rewards": {"a": 0}, "dones": {"__all__": False, "b": True}},
            "step gave an end of the agent b and no observation",
        ),
        ({"infos": {"a": 3}}, "env = pair, agent a: step gave the info 3: expected a dict"),
        ({"step": (1, 2)}, "step gave (1, 2): expected (observations, rewards, dones, infos), each a dict by agent"),
        ({"sleep": 30}, "step did not return in 1 s, which env_deadline sets"),
    ],
)
def test_what_it_gives_wrong_is_told_with_the_line(wrong: Mapping[str, Any], expected: str) -> None:
    said = refusal(Pair(**wrong), **TWO)
    assert expected in said
    assert "test_agents_contract.py:" in said


@pytest.mark.parametrize(
    ("env", "multiagent", "expected"),
    [
        (Own(), {}, "its agents have spaces of their own, and one policy: rl.training.config.multiagent.policies has"),
        (Own(), {"policies": {"all": {}}}, "the agents a and b have different spaces and the one policy all"),
        (Bare(), TWO, "no observation_space of the agent a; expected a space for all agents, or a dict"),
        (
            Pair(),
            {"policies": {"a": {}, "c": {}}},
            "rl.training.config.multiagent.policy_mapping: nothing fits the agent b",
        ),
        (
            Pair(),
            {"policies": {"a": {}}, "policy_mapping_fn": lambda agent: "x"},
            "policy_mapping_fn gave 'x' for the agent a: the policies are a",
        ),
        (
            Own(),
            {"policies": {"a": {}, "b": {}, "c": {}}, "policy_mapping": {"a": "a", "b": "b"}},
            "policies.c: no agent of env = pair has it, so its spaces are not known",
        ),
        (Pair(), {"policies": {"a": (None, THREE, THREE, {}), "b": {}}}, "leave out the policy's"),
    ],
)
def test_policies_that_do_not_fit_the_agents_are_refused(env: Any, multiagent: Any, expected: str) -> None:
    assert expected in refusal(env, **multiagent)


def test_spaces_by_agent_are_no_dict_of_gyms() -> None:
    class Grouped(Pair):
        observation_space = spaces.Dict({"a": BOX, "b": BOX})

    assert "its observation_space is a Dict of Gym's, which is the space of one agent" in refusal(Grouped(), **TWO)

    class Whole(Pair):
        observation_space = spaces.Dict({"a": THREE, "b": THREE})

        def reset(self) -> Any:
            return {key: {"a": 1, "b": 2} for key in "ab"}

        def step(self, actions: Any) -> Any:
            return ({key: {"a": 1, "b": 2} for key in "ab"}, {"a": 0, "b": 0}, {"__all__": True}, {})

    assert tried(Whole(), **TWO).several is not None


def test_what_rllib_cannot_do_with_several_agents_is_refused() -> None:
    said = refusal(Pair(), {"normalize_actions": True}, **TWO)
    assert said.startswith("rl.training.config.normalize_actions = true: not with env = pair, which has several agents")


def test_policies_and_an_environment_of_one_agent_are_refused() -> None:
    job = {"run": "PPO", "env": "CartPole-v1", "config": {"multiagent": TWO}}
    trial = Trial(parse({"experiment": "one"}, Machine(2, 0), {"one": job}), {})
    with pytest.raises(UserError, match=r"env = CartPole-v1 has one agent: it is no ray\.rllib\.env\.MultiAgentEnv"):
        try_environment(trial, False, print)


def test_a_policy_that_is_no_network_is_refused_unless_there_is_to_be_no_model() -> None:
    class Heuristic(Policy):  # type: ignore[misc]
        pass

    policies = {"a": {}, "b": (Heuristic, BOX, THREE, {})}
    expected = (
        "rl.training.config.multiagent.policies.b: is a Heuristic, which is no TFPolicy, .*; export=false trains it"
    )
    assert re.fullmatch(f"{expected} .*", refusal(Pair(), policies=policies))
    assert tried(Pair(), policies=policies, export="false").several is not None
    assert tried(Pair(), policies={"a": {}, "b": (PPOTFPolicy, BOX, THREE, {})}).several is not None
