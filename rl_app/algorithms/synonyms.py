"""What other libraries call the settings of RLlib, so that who writes their names is told RLlib's."""

from __future__ import annotations

from typing import Dict, Mapping

SYNONYMS = {
    **dict.fromkeys(("learning_rate", "step_size"), "lr"),
    **dict.fromkeys(("discount", "discount_factor"), "gamma"),
    "gae_lambda": "lambda",
    "batch_size": "train_batch_size",
    **dict.fromkeys(("minibatch_size", "mini_batch_size"), "sgd_minibatch_size"),
    **dict.fromkeys(("epochs", "n_epochs", "num_epochs"), "num_sgd_iter"),
    **dict.fromkeys(("clip_range", "clip_ratio", "clip_epsilon"), "clip_param"),
    **dict.fromkeys(("ent_coef", "entropy_coef"), "entropy_coeff"),
    **dict.fromkeys(("vf_coef", "value_loss_coef"), "vf_loss_coeff"),
    "max_grad_norm": "grad_clip",
    **dict.fromkeys(("replay_size", "replay_buffer_size", "memory_size"), "buffer_size"),
    **dict.fromkeys(("target_update_interval", "target_update_freq"), "target_network_update_freq"),
    **dict.fromkeys(("workers", "n_envs", "num_envs"), "num_workers"),
    "gpus": "num_gpus",
    **dict.fromkeys(("hidden_sizes", "hidden_layers", "net_arch"), "model.fcnet_hiddens"),
    "activation": "model.fcnet_activation",
    **dict.fromkeys(("use_lstm", "lstm"), "model.use_lstm"),
}


def of(config: Mapping[str, object]) -> Dict[str, str]:
    """Return the other names of what a config has, each with its setting's path; the config's own names come first."""
    return {name: path for name, path in SYNONYMS.items() if path.split(".")[0] in config and name not in config}
