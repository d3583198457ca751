"""Short experiments in the lamps."""


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


EXPERIMENTS = {name: short(name) for name in ("lamps", "lamps-unseen")}
EXPERIMENTS["lamps-impala"] = {
    "run": "IMPALA",
    "env": "lamps",
    "stop": {"training_iteration": 1},
    "config": {
        "num_workers": 1,
        "num_gpus": 0,
        "rollout_fragment_length": 16,
        "train_batch_size": 32,
        "min_iter_time_s": 0,
        "model": {"fcnet_hiddens": [16]},
    },
}
