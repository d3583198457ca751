"""An iteration or two of each."""

SMALL = {
    "num_workers": 0,
    "simple_optimizer": True,
    "train_batch_size": 200,
    "rollout_fragment_length": 50,
    "sgd_minibatch_size": 50,
    "num_sgd_iter": 2,
}


def trial(env, **config):
    return {"run": "PPO", "env": env, "stop": {"training_iteration": 1}, "config": {**SMALL, **config}}


EXPERIMENTS = {
    "dense": trial("CartPole-v1", model={"custom_model": "dense"}),
    "pairs": trial("pairs", model={"custom_model": "autoregressive", "custom_action_dist": "pairs"}),
    "parametric": trial("parametric", model={"custom_model": "parametric"}, vf_share_layers=True),
}
