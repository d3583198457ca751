#!/usr/bin/env bash
# What happens: cloudpathlib 0.26.0 takes its local copy of a file of S3 for current unless the bucket's is newer, and S3 gives
#   the time of a change in whole seconds. A file that is read and then written again within the same second is read as it was
#   first, from then on and however long one waits, by all paths of that client; stat() beside it has the new size, etag the
#   new etag. A later change in another second is read.
# One would have guessed: the etag or the size, which are asked for anyway, say that a file is another one; or it is old for a
#   second, not for ever.
# Where it matters: a job that writes "running" and, as it fails, "failed" into its status, or the last two lines of a log, has
#   a watcher that sees the first of them for as long as it runs; the one who looks later, in another process, sees the
#   last. It comes with short jobs and quick stores, as in tests, and not with slow ones.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'cloudpathlib[s3]==0.26.0' 'moto[s3]==5.2.5' 'boto3==1.44.8'
cd "$work"
cat > check.py <<'PYTHON'
import os
import sys
import time

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
import boto3
from cloudpathlib import S3Client
from moto import mock_aws


def write(text):
    boto3.client("s3").put_object(Bucket="a-bucket", Key="job/status", Body=text.encode())


def changed():
    return boto3.client("s3").head_object(Bucket="a-bucket", Key="job/status")["LastModified"]


with mock_aws():
    boto3.client("s3").create_bucket(Bucket="a-bucket")
    times = []
    while len(times) < 2 or times[0] != times[1]:  # until both are written within one second
        client = S3Client()
        status = client.S3Path("s3://a-bucket/job/status")
        write("running")
        first, times = status.read_text(), [changed()]
        write("failed")
        times.append(changed())
    time.sleep(2)
    later = status.read_text(), client.S3Path("s3://a-bucket/job/status").read_text(), status.stat().st_size
    another = S3Client().S3Path("s3://a-bucket/job/status").read_text()
    write("stopped")
    last = status.read_text()
print(f"first {first}; two seconds later {later}, by another client {another}; written once more: {last}")
sys.exit(not (later == ("running", "running", len("failed")) and (first, another, last) == ("running", "failed", "stopped")))
PYTHON
env/bin/python check.py
