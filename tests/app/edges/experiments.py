"""One short experiment for each environment. RLlib is not imported here, which takes longer than most of them."""

from envs import ENVS


def short(env, run="PPO", **config):
    return {
        "run": run,
        "env": env,
        "stop": {"training_iteration": 2},
        "config": {
            "num_workers": 0,
            "simple_optimizer": True,
            "train_batch_size": 200,
            "sgd_minibatch_size": 50,
            "num_sgd_iter": 2,
            "model": {"fcnet_hiddens": [16]},
            **config,
        },
    }


EXPERIMENTS = {name: short(name) for name in ENVS}
EXPERIMENTS["unbounded-ddpg"] = {
    "run": "DDPG",
    "env": "unbounded",
    "stop": {"training_iteration": 2},
    "config": {"num_workers": 0, "learning_starts": 100, "timesteps_per_iteration": 200},
}
EXPERIMENTS["unbounded-sac"] = {
    "run": "SAC",
    "env": "unbounded",
    "stop": {"training_iteration": 2},
    "config": {"num_workers": 0, "learning_starts": 100, "timesteps_per_iteration": 200},
}
