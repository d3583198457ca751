"""The hosts of one job: who is there, who is gone, and what the first tells the others. It knows nothing of Ray."""
