"""The recurrent network behind ``model.use_lstm``, which RLlib 0.8.5 ignores for TensorFlow policies.

``ModelCatalog._get_v2_model_class`` never looks at the setting, so a plain network trains in silence. Here it
becomes a custom model, which Ray hands to its workers too.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np
from ray.rllib.models.tf.misc import normc_initializer
from ray.rllib.models.tf.recurrent_tf_modelv2 import RecurrentTFModelV2
from ray.rllib.utils import try_import_tf
from ray.rllib.utils.framework import get_activation_fn

tf = try_import_tf()
NAME = "lstm"


class LSTM(RecurrentTFModelV2):  # type: ignore[misc]  # Ray has no types
    """Dense layers (``fcnet_hiddens``), one LSTM (``lstm_cell_size``), then the action's logits and the value."""

    def __init__(
        self, obs_space: Any, action_space: Any, num_outputs: int, model_config: Mapping[str, Any], name: str
    ) -> None:
        super().__init__(obs_space, action_space, num_outputs, model_config, name)
        self._cell_size = model_config["lstm_cell_size"]
        activation = get_activation_fn(model_config["fcnet_activation"])
        layers = tf.keras.layers
        inputs = layers.Input(shape=(None, int(np.prod(obs_space.shape))), name="inputs")
        state = [layers.Input(shape=(self._cell_size,), name=part) for part in ("h", "c")]
        lengths = layers.Input(shape=(), name="seq_in", dtype=tf.int32)
        hidden = inputs
        for i, size in enumerate(model_config["fcnet_hiddens"]):
            hidden = layers.Dense(
                size, activation=activation, kernel_initializer=normc_initializer(1.0), name=f"fc_{i}"
            )(hidden)
        hidden, h, c = layers.LSTM(self._cell_size, return_sequences=True, return_state=True, name="lstm")(
            inputs=hidden, mask=tf.sequence_mask(lengths), initial_state=state
        )
        logits = layers.Dense(num_outputs, kernel_initializer=normc_initializer(0.01), name="logits")(hidden)
        value = layers.Dense(1, kernel_initializer=normc_initializer(0.01), name="value")(hidden)
        self._network = tf.keras.Model([inputs, lengths, *state], [logits, value, h, c])
        self.register_variables(self._network.variables)
        self._value: Any = None

    def forward_rnn(self, inputs: Any, state: List[Any], seq_lens: Any) -> Tuple[Any, List[Any]]:
        logits, self._value, h, c = self._network([inputs, seq_lens, *state])
        return logits, [h, c]

    def get_initial_state(self) -> List[Any]:
        return [np.zeros(self._cell_size, np.float32), np.zeros(self._cell_size, np.float32)]

    def value_function(self) -> Any:
        return tf.reshape(self._value, [-1])


def with_lstm(config: Mapping[str, Any], whole: Optional[Mapping[str, Any]] = None) -> Dict[str, Any]:
    """Return a config with ``model.use_lstm`` made to work; any other config as it is.

    Args:
        whole: the trainer's, where the config is what a policy of several has of its own.
    """
    from ray.rllib.models import ModelCatalog

    model = config.get("model", {})
    inherited = ((whole or {}).get("model") or {}).get("use_lstm")
    if not model.get("use_lstm", inherited):
        # The network that the trainer's config was given for all policies is no other policy's
        return {**config, "model": {"custom_model": None, **model}} if inherited else dict(config)
    ModelCatalog.register_custom_model(NAME, LSTM)
    return {**config, "model": {**model, "custom_model": NAME}}
