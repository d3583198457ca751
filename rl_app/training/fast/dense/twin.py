"""The numpy twin of a policy's network: which policies can have one, and what it is made of."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple

from ray.rllib.models.tf.fcnet_v2 import FullyConnectedNetwork
from ray.rllib.models.tf.tf_action_dist import Categorical, DiagGaussian
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from rl_app.training.fast.dense import distributions
from rl_app.training.fast.dense.network import ACTIVATIONS, Shape

DISTRIBUTIONS: Dict[Any, Any] = {Categorical: distributions.Categorical, DiagGaussian: distributions.DiagGaussian}


def has_twin(policy: Any, most_weights: int) -> bool:
    """Return whether a policy's network, of so many weights at most, and its distribution are those that are here."""
    if type(policy.model) is not FullyConnectedNetwork or policy.dist_class not in DISTRIBUTIONS:
        return False
    layers = _layers(policy.model).values()
    known = all(layer.activation.__name__ in ACTIVATIONS for layer in layers)
    return known and sum(_shape(layer).size for layer in layers) <= most_weights


def on_one_thread() -> None:
    """Have numpy multiply on one thread in this process, as Ray wants it by OMP_NUM_THREADS.

    That comes too late where numpy is imported before Ray; and to wake a second thread takes as long as a small
    network.
    """
    threadpool_limits(1, "blas")


class Layers(NamedTuple):
    """Keras' layers that policy and value share, and those of each, from the observations on."""

    shared: List[Any]
    policy: List[Any]
    value: List[Any]

    @property
    def shapes(self) -> List[List[Shape]]:
        """Return what a :class:`~rl_app.training.fast.dense.network.Network` of them is made of."""
        return [[_shape(layer) for layer in layers] for layers in self]

    @property
    def variables(self) -> List[Any]:
        """Return their weights, in the order in which such a network has them."""
        return [variable for layers in self for layer in layers for variable in (layer.kernel, layer.bias)]


def layers_of(policy: Any) -> Layers:
    """Return the layers of a policy that has a twin; RLlib tells what they are for by their names."""
    layers = _layers(policy.model)
    hidden, of_value = (
        [layers[name] for name in layers if name.startswith(prefix) and name[len(prefix) :].isdigit()]
        for prefix in ("fc_", "fc_value_")
    )
    shared, own = (hidden, []) if policy.config["model"]["vf_share_layers"] else ([], hidden)
    return Layers(shared, [*own, layers["fc_out"]], [*of_value, layers["value_out"]])


def _layers(model: FullyConnectedNetwork) -> Dict[str, Any]:
    return {layer.name: layer for layer in model.base_model.layers if layer.weights}


def _shape(layer: Any) -> Shape:
    inputs, outputs = layer.kernel.shape.as_list()
    return Shape(inputs, outputs, layer.activation.__name__)
