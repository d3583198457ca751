"""What the commands share: set-up, Docker, stores, SageMaker."""
