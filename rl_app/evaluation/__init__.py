"""The evaluation of trained policies: who plays, the episodes, their videos, what is left."""
