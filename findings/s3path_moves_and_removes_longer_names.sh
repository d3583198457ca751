#!/usr/bin/env bash
# What happens: s3path 0.6.5 takes a folder for what its keys begin with. S3Path("/a-bucket/runs/lr-1").rmdir() removes what is
#   in runs/lr-1, without asking whether it is empty, and all of runs/lr-10 beside it; rename to runs/best moves both, and
#   the contents of lr-10 are in runs/best0 then. iterdir of the same path knows of lr-1 alone. A rename of the folder a to b
#   makes b/dbtb/b.json of a/data/a.json, since each a in the key is replaced.
# One would have guessed: a path means the folder of its name, in every method; rmdir refuses a folder that is not empty, as in
#   pathlib, whose interface it has; and what is renamed keeps the names of what is in it.
# Where it matters: runs are named lr-1 and lr-10, seed-1 and seed-12, checkpoint-5 and checkpoint-50: clearing one that failed
#   takes the others with it, and a bucket without versions has no way back.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 's3path==0.6.5' 'moto[s3]==5.2.5' 'boto3==1.44.8'
cd "$work"
cat > check.py <<'PYTHON'
import os
import sys

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
import boto3
from moto import mock_aws
from s3path import S3Path

RUNS = "runs/lr-1/log", "runs/lr-10/log", "runs/lr-10/best/model"


def left(change, *written):
    """Write keys into a bucket of their own, change something; give the keys that there are then."""
    with mock_aws():
        store = boto3.client("s3")
        store.create_bucket(Bucket="a-bucket")
        for key in written:
            store.put_object(Bucket="a-bucket", Key=key, Body=b"1")
        change()
        return [each["Key"] for each in store.list_objects_v2(Bucket="a-bucket").get("Contents", [])]


def listed():
    """See what the folder has, by the methods that only look."""
    names.extend(each.name for each in S3Path("/a-bucket/runs/lr-1").iterdir())


names = []
left(listed, *RUNS)
removed = left(lambda: S3Path("/a-bucket/runs/lr-1").rmdir(), *RUNS)
moved = left(lambda: S3Path("/a-bucket/runs/lr-1").rename(S3Path("/a-bucket/runs/best")), *RUNS)
renamed = left(lambda: S3Path("/a-bucket/a").rename(S3Path("/a-bucket/b")), "a/data/a.json")
print(f"in lr-1 {names}; left by rmdir {removed}, by rename {moved}; a/data/a.json as b: {renamed}")
expected = ["runs/best/log", "runs/best0/best/model", "runs/best0/log"]
sys.exit(not (names == ["log"] and removed == [] and moved == expected and renamed == ["b/dbtb/b.json"]))
PYTHON
env/bin/python check.py
