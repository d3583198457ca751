"""The numpy twin of a policy's network: which policies can have one, and what it is made of."""

from __future__ import annotations

from itertools import takewhile
from typing import Any, Dict, List, NamedTuple, Tuple

from ray.rllib.models.tf.fcnet_v2 import FullyConnectedNetwork
from ray.rllib.models.tf.tf_action_dist import Categorical, DiagGaussian
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from rl_app.training.fast.dense import distributions
from rl_app.training.fast.dense.network import ACTIVATIONS, Shape

Group = Tuple[Any, ...]  # Keras' layers
DISTRIBUTIONS: Dict[Any, Any] = {Categorical: distributions.Categorical, DiagGaussian: distributions.DiagGaussian}


def has_twin(policy: Any, most_weights: int) -> bool:
    """Return whether a policy's network, of so many weights at most, and its distribution are those that are here."""
    if type(policy.model) is not FullyConnectedNetwork or policy.dist_class not in DISTRIBUTIONS:
        return False
    layers = _layers(policy.model).values()
    known = all(layer.activation.__name__ in ACTIVATIONS for layer in layers)
    return known and sum(_shape((layer,)).size for layer in layers) <= most_weights


def on_one_thread() -> None:
    """Have numpy multiply on one thread in this process, as Ray wants it by OMP_NUM_THREADS.

    That comes too late where numpy is imported before Ray; and to wake a second thread takes as long as a small
    network.
    """
    threadpool_limits(1, "blas")


class Layers(NamedTuple):
    """Keras' layers of a :class:`~rl_app.training.fast.dense.network.Network`, those that lie side by side together."""

    trunk: List[Group]
    policy: List[Group]
    value: List[Group]

    @property
    def shapes(self) -> List[List[Shape]]:
        """Return what such a network of them is made of."""
        return [[_shape(group) for group in chain] for chain in self]

    @property
    def variables(self) -> List[Any]:
        """Return their weights, in the order in which it has them."""
        groups = [group for chain in self for group in chain]
        return [getattr(layer, name) for group in groups for name in ("kernel", "bias") for layer in group]


def layers_of(policy: Any) -> Layers:
    """Return the layers of a policy that has a twin; RLlib tells what they are for by their names."""
    layers = _layers(policy.model)
    hidden, of_value = (
        [layers[name] for name in layers if name.startswith(prefix) and name[len(prefix) :].isdigit()]
        for prefix in ("fc_", "fc_value_")
    )
    out, value_out = (layers["fc_out"],), (layers["value_out"],)
    if policy.config["model"]["vf_share_layers"]:
        return Layers([(layer,) for layer in hidden], [out], [value_out])
    trunk: List[Group] = list(takewhile(lambda pair: _shape(pair[:1]) == _shape(pair[1:]), zip(hidden, of_value)))
    of_policy, of_value = ([(layer,) for layer in each[len(trunk) :]] for each in (hidden, of_value))
    return Layers(trunk, [*of_policy, out], [*of_value, value_out])


def _layers(model: FullyConnectedNetwork) -> Dict[str, Any]:
    return {layer.name: layer for layer in model.base_model.layers if layer.weights}


def _shape(group: Group) -> Shape:
    inputs, outputs = group[0].kernel.shape.as_list()
    return Shape(len(group), inputs, outputs, group[0].activation.__name__)
