#!/usr/bin/env bash
# What happens: S3Downloader.download of the SageMaker Python SDK 2.257.7 takes a prefix with a dot in its last part for one
#   file. From "runs/lr-0.001", which holds worker-1/log.txt and worker-2/log.txt, comes one log.txt, without a folder: the
#   second has overwritten the first, and the list that is returned names the same path twice. From "runs/lr-1" come both.
# One would have guessed: a prefix is a folder, and its tree comes as it is, however it is called; or an error.
# Where it matters: folders named by a setting (lr-0.001), a version (v1.2) or a date (2024.05.01): of checkpoints, logs and
#   episodes that have the same names in each folder the last one is left, and the number of paths says all are there.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes a minute or two.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'sagemaker==2.257.7' 'moto[s3]==5.2.5' 'boto3==1.44.8' 'numpy==2.4.6'
cd "$work"
cat > check.py <<'PYTHON'
import os
import pathlib
import sys

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
import boto3
import sagemaker
from moto import mock_aws
from sagemaker.s3 import S3Downloader


def downloaded(folder):
    """Upload a log of each of two workers, download them; give the files that are there, and how many were named."""
    for worker in ("worker-1", "worker-2"):
        boto3.client("s3").put_object(Bucket="a-bucket", Key=f"runs/{folder}/{worker}/log.txt", Body=worker.encode())
    here = pathlib.Path(f"of {folder}")
    named = S3Downloader.download(f"s3://a-bucket/runs/{folder}", str(here), sagemaker_session=session)
    return {str(path.relative_to(here)): path.read_text() for path in here.rglob("*.txt")}, len(named)


with mock_aws():
    boto3.client("s3").create_bucket(Bucket="a-bucket")
    session = sagemaker.Session(default_bucket="a-bucket")
    plain, dotted = downloaded("lr-1"), downloaded("lr-0.001")
print(f"lr-1: {plain}\nlr-0.001: {dotted}")
whole = {f"worker-{number}/log.txt": f"worker-{number}" for number in (1, 2)}
sys.exit(not (plain == (whole, 2) and dotted == ({"log.txt": "worker-2"}, 2)))
PYTHON
env/bin/python check.py
