"""The program inside the container: train, evaluate and serve RLlib policies under SageMaker's contract."""
