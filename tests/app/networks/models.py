"""Networks as people write them: RLlib's own examples as they are, and what they have besides."""

import numpy as np
from ray.rllib.examples.autoregressive_action_dist import AutoregressiveActionsModel, BinaryAutoregressiveOutput
from ray.rllib.examples.custom_fast_model import FastModel
from ray.rllib.examples.custom_keras_rnn_model import MyKerasRNN
from ray.rllib.examples.parametric_action_cartpole import ParametricActionsModel
from ray.rllib.models.preprocessors import Preprocessor
from ray.rllib.models.tf.tf_action_dist import Categorical
from ray.rllib.models.tf.tf_modelv2 import TFModelV2
from ray.rllib.utils import try_import_tf

tf = try_import_tf()


class Dense(TFModelV2):
    """One dense layer, whose values it keeps in a dict."""

    def __init__(self, obs_space, action_space, num_outputs, model_config, name):
        super().__init__(obs_space, action_space, num_outputs, model_config, name)
        seen = tf.keras.layers.Input(obs_space.shape)
        hidden = tf.keras.layers.Dense(16, "tanh")(seen)
        outputs = [tf.keras.layers.Dense(num_outputs)(hidden), tf.keras.layers.Dense(1)(hidden)]
        self.network, self.kept = tf.keras.Model(seen, outputs), {}
        self.register_variables(self.network.variables)

    def forward(self, input_dict, state, seq_lens):
        seen = tf.reshape(input_dict["obs_flat"], [-1, *self.obs_space.shape])
        logits, self.kept["values"] = self.network(seen)
        return logits, state

    def value_function(self):
        return tf.reshape(self.kept["values"], [-1])


class Nested(TFModelV2):
    """Another network, which keeps the values."""

    def __init__(self, obs_space, action_space, num_outputs, model_config, name):
        super().__init__(obs_space, action_space, num_outputs, model_config, name)
        self.inner = Dense(obs_space, action_space, num_outputs, model_config, f"{name}_inner")
        self.register_variables(self.inner.variables())

    def forward(self, input_dict, state, seq_lens):
        return self.inner(input_dict, state, seq_lens)

    def value_function(self):
        return self.inner.value_function()


class Frames(Dense):
    """One CNN over all frames of a stack, each by itself."""

    def __init__(self, obs_space, action_space, num_outputs, model_config, name):
        TFModelV2.__init__(self, obs_space, action_space, num_outputs, model_config, name)
        layers = tf.keras.layers
        seen, convolved = layers.Input(obs_space.shape), layers.Conv2D(4, 3, 2, "same", activation="relu")
        each = [layers.Flatten()(convolved(seen[..., i : i + 1])) for i in range(obs_space.shape[2])]
        hidden = layers.Dense(16, "relu")(layers.concatenate(each))
        outputs = [layers.Dense(num_outputs)(hidden), layers.Dense(1)(hidden)]
        self.network, self.kept = tf.keras.Model(seen, outputs), {}
        self.register_variables(self.network.variables)


class Python(Dense):
    """Calls Python at the end of its graph."""

    def forward(self, input_dict, state, seq_lens):
        logits, state = super().forward(input_dict, state, seq_lens)
        doubled = tf.py_func(lambda values: 2 * values, [logits], tf.float32, stateful=False)
        return tf.ensure_shape(doubled, logits.shape), state


class Noisy(Dense):
    """Draws other numbers each time, whatever is asked of it."""

    def forward(self, input_dict, state, seq_lens):
        logits, state = super().forward(input_dict, state, seq_lens)
        return logits + 100.0 * tf.random.normal(tf.shape(logits)), state


class Elsewhere:
    """Where nobody looks for what a network keeps."""


class Hidden(Dense):
    """Keeps its values in an object of its own."""

    def forward(self, input_dict, state, seq_lens):
        self.elsewhere = getattr(self, "elsewhere", Elsewhere())
        logits, self.elsewhere.values = self.network(input_dict["obs"])
        return logits, state

    def value_function(self):
        return tf.reshape(self.elsewhere.values, [-1])


class Warm(MyKerasRNN):
    """Begins each episode with a memory."""

    def get_initial_state(self):
        return [np.ones(self.cell_size, np.float32), np.zeros(self.cell_size, np.float32)]


class Halved(Preprocessor):
    """Half of what is seen."""

    def _init_shape(self, obs_space, options):
        return obs_space.shape

    def transform(self, observation):
        return np.asarray(observation, np.float32) / 2


class Sharp(Categorical):
    """RLlib's own, but surer of itself."""

    def __init__(self, inputs, model=None):
        super().__init__(inputs, model, temperature=0.5)


MODELS = {
    "dense": Dense,
    "nested": Nested,
    "frames": Frames,
    "parametric": ParametricActionsModel,
    "recurrent": MyKerasRNN,
    "autoregressive": AutoregressiveActionsModel,
    "old": FastModel,
    "python": Python,
    "noisy": Noisy,
    "hidden": Hidden,
    "warm": Warm,
}
PREPROCESSORS = {"halved": Halved}
ACTION_DISTRIBUTIONS = {"pairs": BinaryAutoregressiveOutput, "sharp": Sharp}
