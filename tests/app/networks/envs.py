"""RLlib's environments for its examples of networks."""

from ray.rllib.examples.autoregressive_action_dist import CorrelatedActionsEnv
from ray.rllib.examples.parametric_action_cartpole import ParametricActionCartpole

ENVS = {
    "pairs": lambda env_config: CorrelatedActionsEnv(env_config),
    "parametric": lambda env_config: ParametricActionCartpole(6),
}
