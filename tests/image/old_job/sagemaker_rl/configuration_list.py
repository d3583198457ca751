"""Reads hyperparameters as the launchers of AWS's examples do: a number is what Python's ``int`` makes of it."""

import json
import os


def put(tree, path, value):
    """Put a value at the end of a path of keys, each but the last of which is there."""
    *above, last = path.split(".")
    for key in above:
        tree = tree[key]
    tree[last] = value


def typed(value):
    """Give an integer for what Python makes one of, a float for what it makes one of, else the value."""
    if isinstance(value, (dict, list, bool)):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            pass
    return value


def applied(config):
    """Give a config with those of the job's hyperparameters that begin with ``rl.``."""
    for key, value in json.loads(os.environ["SM_HPS"]).items():
        if key.startswith("rl."):
            put(config, key[len("rl.") :], typed(value))
    return config
