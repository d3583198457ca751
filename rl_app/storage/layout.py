"""What a job leaves in its store, below its name: the one place where these files and folders are named."""

from __future__ import annotations

RECORD = "job.json"
"""What DescribeTrainingJob answers of a job on SageMaker."""
MODEL_ARCHIVE, OUTPUT_ARCHIVE, SOURCE_ARCHIVE = "model.tar.gz", "output.tar.gz", "sourcedir.tar.gz"
MODEL, OUTPUT = f"output/{MODEL_ARCHIVE}", f"output/{OUTPUT_ARCHIVE}"
LIVE = "output/intermediate"
"""The files of a job that runs, each as it is by now."""
UNPACKED = "output/data"
"""Where what is in the output's archive lies unpacked, if it does."""
CHECKPOINTS = "checkpoints"
SOURCE = f"source/{SOURCE_ARCHIVE}"
"""The user's own code, as the job had it."""
METRICS, FACTS, REPORT, LOG = "metrics.jsonl", "facts.json", "report.html", "train.log"
"""What is among the live files, and in the output: a row an iteration, what the report says, the report, the log."""
