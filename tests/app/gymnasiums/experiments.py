"""Short experiments in each of them."""

from envs import ENVS


def short(env):
    return {
        "run": "PPO",
        "env": env,
        "stop": {"training_iteration": 2},
        "config": {
            "num_workers": 0,
            "simple_optimizer": True,
            "train_batch_size": 200,
            "sgd_minibatch_size": 50,
            "num_sgd_iter": 2,
            "model": {"fcnet_hiddens": [16]},
        },
    }


EXPERIMENTS = {name: short(name) for name in ENVS}
