"""PPO as RLlib has it, with a sampler and an SGD that cost a fifth of RLlib's own.

The algorithm, its config, its loss, its networks and its checkpoints are RLlib's. What differs is the way there:
one forward pass for all environments and whole columns in place of dictionaries an agent a step
(:mod:`~rl_app.training.fast.sampler`), and all epochs over a batch in one call of TensorFlow's session
(:mod:`~rl_app.training.fast.sgd`). What either does not do, RLlib's own does (:mod:`~rl_app.training.fast.limits`).
"""
