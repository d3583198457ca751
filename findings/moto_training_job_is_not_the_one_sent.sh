#!/usr/bin/env bash
# What happens: moto 5.2.5: a training job is Completed at once; DescribeTrainingJob gives metric definitions of
#   moto's own in place of those that were sent, and no Environment; a second job of the same name is taken, where
#   SageMaker answers ResourceInUse.
# One would have guessed: what was sent comes back, and a used name is refused, since the stand-in keeps the job by
#   its name.
# Where it matters: a test that reads its metric definitions or environment back from the stand-in tests the stand-
#   in; assert on the request that was sent.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'moto[sagemaker]==5.2.5' 'boto3==1.44.8'
cd "$work"
cat > check.py <<'PYTHON'
import os
import sys

import boto3
from moto import mock_aws

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
METRICS = [{"Name": "episode_reward_mean", "Regex": "episode_reward_mean: ([0-9.]+)"}]
JOB = {
    "TrainingJobName": "one",
    "RoleArn": "arn:aws:iam::123456789012:role/training-jobs",
    "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File", "MetricDefinitions": METRICS},
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/prefix"},
    "ResourceConfig": {"InstanceType": "ml.c5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    "Environment": {"KEY": "value"},
}
with mock_aws():
    client = boto3.client("sagemaker")
    client.create_training_job(**JOB)
    job = client.describe_training_job(TrainingJobName="one")
    client.create_training_job(**JOB)  # raises where the name is refused
definitions = job["AlgorithmSpecification"]["MetricDefinitions"]
print(job["TrainingJobStatus"], definitions, job.get("Environment"), "and the same name was taken again")
sys.exit(not (job["TrainingJobStatus"] == "Completed" and definitions != METRICS and "Environment" not in job))
PYTHON
env/bin/python check.py
