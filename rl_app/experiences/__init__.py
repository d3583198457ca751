"""Transitions that were recorded elsewhere, as RLlib's offline algorithms read them."""
