#!/usr/bin/env bash
# What happens: S3Uploader.upload of the SageMaker Python SDK 2.257.7 puts a slash of its own behind the place it is given: a
#   file that is sent to "s3://a-bucket/data/" gets the key data//steps.json, one that is sent to "s3://a-bucket" the key
#   /steps.json; to "s3://a-bucket/data" it gets data/steps.json. Session.upload_data with a key_prefix does the same.
#   The same package's s3_path_join makes one slash of several.
# One would have guessed: a slash at the end of a folder says that it is a folder, and changes nothing else.
# Where it matters: both places may hold a file of that name then, an old and a new one, and a job whose input is data/ gets
#   both; who opens s3://a-bucket/data/steps.json finds none, or the old one. The SDK's own S3Downloader writes both to one
#   path: of an old data/steps.json and a new data//steps.json the old one is left, and its list names that path twice.
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
from sagemaker.s3 import S3Downloader, S3Uploader, s3_path_join

file = pathlib.Path("steps.json")
with mock_aws():
    boto3.client("s3").create_bucket(Bucket="a-bucket")
    session = sagemaker.Session(default_bucket="a-bucket")
    for text, place in (("old", "s3://a-bucket/data"), ("new", "s3://a-bucket/data/"), ("root", "s3://a-bucket")):
        file.write_text(text)
        named = S3Uploader.upload(str(file), place, sagemaker_session=session)
        print(f"{place}: {named}; joined: {s3_path_join(place, file.name)}")
    session.upload_data(str(file), bucket="a-bucket", key_prefix="more/")
    keys = [found["Key"] for found in boto3.client("s3").list_objects_v2(Bucket="a-bucket")["Contents"]]
    back = S3Downloader.download("s3://a-bucket/data/", "back", sagemaker_session=session)
    texts = [path.read_text() for path in pathlib.Path("back").rglob("*.json")]
print(f"keys {keys}; downloaded {back}: {texts}")
joined = s3_path_join("s3://a-bucket/data/", file.name)
named_twice = len(back) == 2 and len(set(back)) == 1
sys.exit(not (
    keys == ["/steps.json", "data//steps.json", "data/steps.json", "more//steps.json"]
    and joined == "s3://a-bucket/data/steps.json" and named_twice and texts == ["old"]
))
PYTHON
env/bin/python check.py 2>/dev/null
