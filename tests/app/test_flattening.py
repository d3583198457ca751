"""The flat vector of an observation is RLlib's, for any space: what the network then sees is the same."""

from __future__ import annotations

import json

import gym
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.rllib.models.preprocessors import get_preprocessor

from rl_app.policy.loading import Input, Network
from rl_app.policy.policy import Policy
from rl_app.serving.observations import Observations
from rl_app.spaces.description import describe
from rl_app.spaces.flattening import flat_limits
from tests.app.any_space import any_space, as_json, values

FACTS = {
    "algorithm": "PPO",
    "action_space": describe(gym.spaces.Discrete(2)),
    "action_distribution": "Categorical",
    "normalize_actions": False,
    "clip_actions": True,
    "state_sizes": [],
    "inputs": ["observations"],
    "outputs": ["actions_0"],
}


def policy_of(space: gym.Space, filtered: bool) -> Policy:
    """A policy that sees the space, as policy.json would have it; its network is never asked."""
    described = json.loads(json.dumps(describe(space)))
    size = get_preprocessor(space)(space).size
    statistics = {"mean": [0.0] * size, "std": [1.0] * size} if filtered else None
    network = Network("none", {"observations": Input(np.float32, (size,))}, lambda feeds: {}, filters=False)
    return Policy({**FACTS, "observation_space": described, "observation_filter": statistics}, network)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(space=any_space, filtered=st.booleans(), drawn=st.data())
def test_any_observation_is_flattened_as_rllib_flattens_it(
    space: gym.Space, filtered: bool, drawn: st.DataObject
) -> None:
    observations = drawn.draw(st.lists(values(space), min_size=1, max_size=3))
    policy = policy_of(space, filtered)
    preprocessor = get_preprocessor(space)(space)
    rllibs = np.stack([np.asarray(preprocessor.transform(each), policy.dtype).ravel() for each in observations])
    np.testing.assert_array_equal(policy.flatten(observations), rllibs)
    assert policy.observation_size == preprocessor.size
    low, high = (side.astype(np.float32) for side in flat_limits(describe(space)))
    assert (low <= rllibs.astype(np.float32)).all() and (rllibs.astype(np.float32) <= high).all()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(space=any_space, filtered=st.booleans(), drawn=st.data())
def test_the_server_flattens_json_as_evaluate_flattens_the_observation(
    space: gym.Space, filtered: bool, drawn: st.DataObject
) -> None:
    observations = drawn.draw(st.lists(values(space), min_size=1, max_size=3))
    policy = policy_of(space, filtered)
    reader = Observations(policy)
    flat = policy.flatten(observations)
    sent = json.loads(json.dumps([as_json(each) for each in observations]))
    np.testing.assert_array_equal(reader.from_json(sent), flat)
    np.testing.assert_array_equal(reader.from_json(sent[0]), flat[:1])
