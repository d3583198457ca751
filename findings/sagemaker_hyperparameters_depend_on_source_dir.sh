#!/usr/bin/env bash
# What happens: an Estimator of the SageMaker Python SDK 2.257.7 sends its hyperparameters as Python's str of each, unless it has
#   a source_dir: then as JSON. sagemaker-training 5.1.4 reads JSON, and takes what is none as a text: without a source_dir
#   False arrives as the text 'False', None as 'None', a dict as "{'hiddens': [64, 64]}", and the text '1.10' as the number
#   1.1. With an entry point that is named by its path alone, it is as with none.
# One would have guessed: the two are written for each other, so that a hyperparameter arrives as it was given; or that what
#   decides is whether there is an entry point, since the SDK's own parameters for it are JSON either way.
# Where it matters: an image that has its program within is started without a source_dir: there every False is true, and a
#   nested config is a text. Whether a job was tried with entry_point="train.py" or with source_dir="." beside it, which upload
#   the same file, decides what its booleans are. json.dumps of each value is right without one, and wrong with one.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes a minute or two.
# Exit status: 0 the libraries still behave so, 1 they do not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'sagemaker==2.257.7' 'sagemaker-training==5.1.4' 'moto[sagemaker,s3]==5.2.5' 'boto3==1.44.8' 'numpy==2.4.6'
cd "$work"
mkdir -p base/input/config source
echo 'print("train")' | tee train.py > source/train.py
cat > check.py <<'PYTHON'
import json
import os
import sys

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
os.environ["SAGEMAKER_BASE_DIR"] = os.path.join(os.getcwd(), "base")
import boto3
import sagemaker
from moto import mock_aws
from sagemaker.estimator import Estimator
from sagemaker_training import environment

GIVEN = {"lr": 1e-4, "free_log_std": False, "grad_clip": None, "model": {"hiddens": [64, 64]}, "version": "1.10"}


def arrived(**code):
    """Start a training job of these hyperparameters; give them as the toolkit within the container reads them."""
    sent = []
    session = sagemaker.Session(default_bucket="bucket-of-jobs")
    events = session.sagemaker_client.meta.events
    events.register("before-parameter-build.sagemaker.CreateTrainingJob", lambda params, **_: sent.append(params))
    estimator = Estimator(
        image_uri="image", role="arn:aws:iam::123456789012:role/training-jobs", instance_count=1,
        instance_type="ml.c5.xlarge", hyperparameters=dict(GIVEN), sagemaker_session=session, **code,
    )
    estimator.fit(wait=False)
    with open("base/input/config/hyperparameters.json", "w") as file:
        json.dump(sent[0]["HyperParameters"], file)
    return {name: value for name, value in environment.read_hyperparameters().items() if name in GIVEN}


with mock_aws():
    boto3.client("s3").create_bucket(Bucket="bucket-of-jobs")
    code = {"entry_point": "train.py", "code_location": "s3://bucket-of-jobs/code"}
    plain, entry, source = arrived(), arrived(**code), arrived(**code, source_dir="source")
for name, values in (("no entry point", plain), ("an entry point", entry), ("and source_dir", source)):
    print(name, values)
texts = {"free_log_std": "False", "grad_clip": "None", "model": "{'hiddens': [64, 64]}"}
sys.exit(not (plain == entry == {"lr": 1e-4, **texts, "version": 1.1} and source == GIVEN))
PYTHON
env/bin/python check.py 2>/dev/null
