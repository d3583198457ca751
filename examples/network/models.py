"""A network of your own, in Keras: `scripts/train network --source examples/network`"""

from ray.rllib.models.tf.tf_modelv2 import TFModelV2
from ray.rllib.utils import try_import_tf

tf = try_import_tf()


class Residual(TFModelV2):
    """Dense blocks, each added to what goes into it; ``custom_options`` has their ``width`` and number, ``blocks``."""

    def __init__(self, obs_space, action_space, num_outputs, model_config, name):
        super().__init__(obs_space, action_space, num_outputs, model_config, name)
        layers, options = tf.keras.layers, model_config["custom_options"]
        seen = layers.Input(obs_space.shape)
        hidden = layers.Dense(options["width"], "tanh")(seen)
        for _ in range(options["blocks"]):
            hidden = layers.add([hidden, layers.Dense(options["width"], "tanh")(hidden)])
        self.network = tf.keras.Model(seen, [layers.Dense(num_outputs)(hidden), layers.Dense(1)(hidden)])
        self.register_variables(self.network.variables)

    def forward(self, input_dict, state, seq_lens):
        logits, self.values = self.network(input_dict["obs"])
        return logits, state

    def value_function(self):
        return tf.reshape(self.values, [-1])


MODELS = {"residual": Residual}
