"""Trains with the SageMaker Python SDK in its local mode, as a user's script would; run by Python 3.11.

Arguments: image, endpoint of S3, bucket, job's name. Prints where the SDK says that the model is.
"""

import json
import sys

import boto3
from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession

image, endpoint, bucket, job = sys.argv[1:]
session = LocalSession(boto3.Session(), s3_endpoint_url=endpoint, default_bucket=bucket)
estimator = Estimator(
    image_uri=image,
    role="arn:aws:iam::123456789012:role/unused-in-local-mode",
    instance_count=1,
    instance_type="local",
    sagemaker_session=session,
    output_path=f"s3://{bucket}",
    hyperparameters={
        "experiment": "cartpole",
        "rl.training.stop.training_iteration": 2,
        "rl.training.config.min_iter_time_s": 0.0,
        "rl.training.config.use_pytorch": False,
        "sagemaker_s3_output": f"s3://{bucket}",
    },
)
estimator.fit(job_name=job)
print(json.dumps({"model": estimator.model_data}))
