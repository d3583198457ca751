"""Trains and serves with the SageMaker Python SDK 2 in its local mode, as a user's script would; run by Python 3.11.

Arguments: image, endpoint of S3, bucket, job's name, port of the endpoint, and the way as JSON: ``estimator`` names the
class, ``given`` is what it takes besides, ``hosts`` how many train, ``local_code`` leaves the code on this machine,
``serve`` goes on to an endpoint, ``transform`` to a batch transform of the file named. The last line that it prints is
what came of it.
"""

import json
import sys
import urllib.error
import urllib.request

import boto3
from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession
from sagemaker.predictor import Predictor
from sagemaker.rl import RLEstimator
from sagemaker.s3 import S3Downloader
from sagemaker.serializers import JSONSerializer

image, endpoint, bucket, job, port, way = sys.argv[1:]
way = json.loads(way)
session = LocalSession(boto3.Session(), s3_endpoint_url=endpoint, default_bucket=bucket)
session.config = {"local": {"serving_port": int(port), "local_code": way.get("local_code", False)}}
estimator = {"Estimator": Estimator, "RLEstimator": RLEstimator}[way["estimator"]](
    image_uri=image,
    role="arn:aws:iam::123456789012:role/unused-in-local-mode",
    instance_count=way.get("hosts", 1),
    instance_type="local",
    sagemaker_session=session,
    output_path=f"s3://{bucket}",
    **way["given"],
)
estimator.fit(job_name=job)
said = {"model": estimator.model_data}
if way.get("serve"):
    # wait: the SDK would sleep for 30 s before it looks whether the endpoint serves, which it does already
    speaks = {"serializer": JSONSerializer(), "deserializer": JSONDeserializer()}
    predictor = estimator.deploy(1, "local", wait=False, endpoint_name=job, **speaks)
    if way["estimator"] == "RLEstimator":  # its deploy returns None for an image of one's own
        assert predictor is None
        predictor = Predictor(job, session, **speaks)
    try:
        said["endpoint"] = session.sagemaker_client.describe_endpoint(predictor.endpoint_name)["EndpointStatus"]
        observations = way["serve"]
        said["columns"] = predictor.predict({"inputs": {"observations": observations}})
        said["rows"] = predictor.predict({"instances": [{"observations": each} for each in observations]})
    finally:
        predictor.delete_model()
        predictor.delete_endpoint()
    try:
        said["after"] = urllib.request.urlopen(f"http://localhost:{port}/ping", timeout=5).status
    except urllib.error.URLError:
        said["after"] = None
if way.get("transform"):
    output = f"s3://{bucket}/{job}-transform"
    transformer = estimator.transformer(
        1, "local", strategy="SingleRecord", assemble_with="Line", accept="text/csv", output_path=output
    )
    transformer.transform(f"file://{way['transform']}", content_type="text/csv", split_type="Line", wait=False)
    (file,) = S3Downloader.list(output, sagemaker_session=session)
    said["transformed"] = S3Downloader.read_file(file, sagemaker_session=session)
print()
print(json.dumps(said))
