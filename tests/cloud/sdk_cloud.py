"""The calls of sdk_local.py and of the notebook in the cloud, as far as the requests; run by Python 3.11.

Arguments: image, role, bucket, job's name, and the way as JSON: ``estimator`` and ``given`` as for sdk_local.py,
``deploy`` goes on to an endpoint and its deletion.
"""

import json
import sys

import boto3
from sagemaker import Session
from sagemaker.estimator import Estimator
from sagemaker.rl import RLEstimator

from rl_app.job import metric_definitions

image, role, bucket, job, way = sys.argv[1:]
way = json.loads(way)
estimator = {"Estimator": Estimator, "RLEstimator": RLEstimator}[way["estimator"]](
    image_uri=image,
    role=role,
    instance_count=1,
    instance_type="ml.c5.xlarge",
    sagemaker_session=Session(boto3.Session(), default_bucket=bucket),
    output_path=f"s3://{bucket}",
    metric_definitions=metric_definitions.definitions(),
    max_run=3600,
    tags=[{"Key": "project", "Value": "sagemaker-rllib"}],
    **way["given"],
)
estimator.fit(job_name=job, wait=False)
if way.get("deploy"):
    predictor = estimator.deploy(1, "ml.m5.large", wait=False)
    predictor.delete_model()
    predictor.delete_endpoint()
