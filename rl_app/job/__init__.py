"""What a job is: SageMaker's contract, hyperparameters and their rules, the user's code, metrics."""
