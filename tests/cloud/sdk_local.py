"""Trains and serves with the SageMaker Python SDK in its local mode, as a user's script would; run by Python 3.11.

Arguments: image, endpoint of S3, bucket, job's name, port of the endpoint. The last line that it prints is what the
SDK says of the model and of the endpoint.
"""

import json
import sys
import urllib.error
import urllib.request

import boto3
from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession
from sagemaker.serializers import JSONSerializer

image, endpoint, bucket, job, port = sys.argv[1:]
session = LocalSession(boto3.Session(), s3_endpoint_url=endpoint, default_bucket=bucket)
session.config = {"local": {"serving_port": int(port)}}
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
# wait: the SDK would sleep for 30 s before it looks whether the endpoint serves, which it does already
predictor = estimator.deploy(1, "local", wait=False, serializer=JSONSerializer(), deserializer=JSONDeserializer())
try:
    said = {
        "model": estimator.model_data,
        "endpoint": session.sagemaker_client.describe_endpoint(predictor.endpoint_name)["EndpointStatus"],
        "columns": predictor.predict({"inputs": {"observations": [[0, 0, -0.2, -1], [0, 0, 0.2, 1]]}}),
        "rows": predictor.predict({"instances": [{"observations": [0, 0, 0.2, 1]}]}),
    }
finally:
    predictor.delete_model()
    predictor.delete_endpoint()
try:
    said["after"] = urllib.request.urlopen(f"http://localhost:{port}/ping", timeout=5).status
except urllib.error.URLError:
    said["after"] = None
print()
print(json.dumps(said))
