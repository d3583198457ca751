"""RLlib's fully connected network and PPO's SGD over it in numpy: TensorFlow's weights, but for rounding.

An operation of TensorFlow takes as long as a layer's arithmetic where the network is small. Between batches the weights
are TensorFlow's: they are taken from its variables before each batch, and put back after it has been learned from.
"""
