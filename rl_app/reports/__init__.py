"""What people look at: the report of a training job and that of an evaluation, each one file that needs no network."""
