"""The call of sdk_local.py and of the notebook in the cloud, as far as the request; run by Python 3.11.

Arguments: image, role, bucket, job's name.
"""

import sys

import boto3
from sagemaker import Session
from sagemaker.estimator import Estimator

from rl_app import metric_definitions

image, role, bucket, job = sys.argv[1:]
estimator = Estimator(
    image_uri=image,
    role=role,
    instance_count=1,
    instance_type="ml.c5.xlarge",
    sagemaker_session=Session(boto3.Session(), default_bucket=bucket),
    output_path=f"s3://{bucket}",
    metric_definitions=metric_definitions.definitions(),
    max_run=3600,
    tags=[{"Key": "project", "Value": "sagemaker-rllib"}],
    hyperparameters={
        "experiment": "cartpole",
        "rl.training.stop.training_iteration": 2,
        "sagemaker_s3_output": f"s3://{bucket}",
    },
)
estimator.fit(job_name=job, wait=False)
