"""A network that gives no probability to an action that is not allowed."""

from ray.rllib.models.tf.fcnet_v2 import FullyConnectedNetwork
from ray.rllib.models.tf.tf_modelv2 import TFModelV2
from ray.rllib.utils import try_import_tf

tf = try_import_tf()


class Masked(TFModelV2):
    """RLlib's own network over the values, and the logarithm of the mask: 0 where it is 1, else next to -infinity."""

    def __init__(self, obs_space, action_space, num_outputs, model_config, name):
        super().__init__(obs_space, action_space, num_outputs, model_config, name)
        seen = obs_space.original_space.spaces["values"]
        self.inner = FullyConnectedNetwork(seen, action_space, num_outputs, model_config, f"{name}_inner")
        self.register_variables(self.inner.variables())

    def forward(self, input_dict, state, seq_lens):
        logits, _ = self.inner({"obs": input_dict["obs"]["values"]})
        mask = tf.maximum(tf.log(input_dict["obs"]["action_mask"]), tf.float32.min)
        return logits + mask, state

    def value_function(self):
        return self.inner.value_function()


MODELS = {"masked": Masked}
