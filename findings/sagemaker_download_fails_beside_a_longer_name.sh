#!/usr/bin/env bash
# What happens: S3Downloader.download of the SageMaker Python SDK 2.257.7 takes "runs/lr-1" for what its keys begin with, and
#   so meets those of "runs/lr-10", of which it then says that they lead out of the target: a ValueError, though the keys are
#   plain ones. What came before is on the disk, what comes after is not. Without lr-10 the same call gives the folder;
#   with a slash at the end it does so in either case. A file without a dot, runs/lr-1/checkpoint-5, cannot be downloaded by
#   its own path at all: an OSError.
# One would have guessed: a folder is downloaded whatever lies beside it; a download of one file gives that file.
# Where it matters: trials, workers, jobs and checkpoints are numbered, and a job whose outputs are fetched by a script that
#   works for nine of them has a tenth; RLlib calls its checkpoints checkpoint-5, and beside it is checkpoint-50.
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
import tempfile

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
import boto3
import sagemaker
from moto import mock_aws
from sagemaker.s3 import S3Downloader


def put(*keys):
    for key in keys:
        boto3.client("s3").put_object(Bucket="a-bucket", Key=key, Body=b"1")


def downloaded(path):
    """Download into a new folder; give the files that are there then, and what was raised."""
    here = pathlib.Path(tempfile.mkdtemp(dir="."))
    try:
        raised = S3Downloader.download(f"s3://a-bucket/{path}", str(here), sagemaker_session=session) and None
    except Exception as error:
        raised = type(error).__name__
    return sorted(str(found.relative_to(here)) for found in here.rglob("*") if found.is_file()), raised


with mock_aws():
    boto3.client("s3").create_bucket(Bucket="a-bucket")
    session = sagemaker.Session(default_bucket="a-bucket")
    put("runs/lr-1/checkpoint-5", "runs/lr-1/log.txt")
    seen = {"alone": downloaded("runs/lr-1"), "one file": downloaded("runs/lr-1/checkpoint-5")}
    put("runs/lr-10/log.txt")
    seen.update({"beside lr-10": downloaded("runs/lr-1"), "with a slash": downloaded("runs/lr-1/")})
    put("runs/lr-1-b/log.txt")  # its keys come before those of lr-1/
    seen["beside lr-1-b"] = downloaded("runs/lr-1")
for name, files in seen.items():
    print(f"{name}: {files}")
both = ["checkpoint-5", "log.txt"]
sys.exit(not (
    seen["alone"] == seen["with a slash"] == (both, None) and seen["one file"] == ([], "OSError")
    and seen["beside lr-10"] == (both, "ValueError") and seen["beside lr-1-b"] == ([], "ValueError")
))
PYTHON
env/bin/python check.py 2>/dev/null
