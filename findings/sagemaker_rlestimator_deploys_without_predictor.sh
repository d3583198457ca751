#!/usr/bin/env bash
# What happens: in version 2.257.7 of the SageMaker Python SDK, an RLEstimator that is given an image makes a model
#   without a predictor class, so that `deploy` creates the endpoint, waits for it and returns None. An Estimator with
#   the same arguments makes one with a Predictor.
# One would have guessed: deploy returns a predictor for whatever it has deployed, as its documentation shows, the more
#   as it takes a serializer and a deserializer for it.
# Where it matters: `predictor.predict(…)` raises an AttributeError, and so does the `predictor.delete_endpoint()` that
#   was to follow: the endpoint runs on and is paid for, and in local mode the program does not end.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'sagemaker==2.257.7'
cd "$work"
echo 'print("train")' > train.py
cat > check.py <<'PYTHON'
import sys

import boto3
from sagemaker import Session
from sagemaker.estimator import Estimator
from sagemaker.rl import RLEstimator

session = Session(
    boto3.Session("an-access-key", "a-secret-key", region_name="us-east-1"), default_bucket="a-bucket"
)
given = {
    "entry_point": "train.py",
    "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/an-image:1",
    "role": "arn:aws:iam::123456789012:role/a-role",
    "instance_count": 1,
    "instance_type": "ml.m5.large",
    "output_path": "s3://a-bucket",
    "sagemaker_session": session,
}
made = {}
for kind in (Estimator, RLEstimator):
    estimator = kind(**given)
    estimator._current_job_name = "a-job"
    made[kind.__name__] = estimator.create_model().predictor_cls
print(made)
sys.exit(not (made["Estimator"] is not None and made["RLEstimator"] is None))
PYTHON
env/bin/python check.py
