"""RLlib's environments for its examples of networks, imported where one is made: RLlib takes seconds."""


def pairs(env_config):
    from ray.rllib.examples.autoregressive_action_dist import CorrelatedActionsEnv

    return CorrelatedActionsEnv(env_config)


def parametric(env_config):
    from ray.rllib.examples.parametric_action_cartpole import ParametricActionCartpole

    return ParametricActionCartpole(6)


ENVS = {"pairs": pairs, "parametric": parametric}
