#!/usr/bin/env bash
# What happens: where an error leaves a with block of s3fs 2026.9.0, the file is closed, and what was written of it by then is
#   uploaded: an object that held a good model holds half of one. smart_open 9.0.2 gives the upload up, and the object is as it
#   was; so does s3fs where a "with files.transaction" is around it.
# One would have guessed: an object is there as a whole or not at all, as the store has it; what failed leaves the old one.
# Where it matters: a checkpoint that is written in place of the last one, by pickle or json, and cannot be written to its end for
#   one value: the error is caught and the training goes on, and the next start finds a file that is there, is new, and cannot
#   be read. On a disk one writes beside it and renames; in a bucket one thinks not to have to.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the libraries still behave so, 1 they do not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 's3fs==2026.9.0' 'smart_open==9.0.2' \
    'moto[s3,server]==5.2.5' 'boto3==1.43.117'
cd "$work"
cat > check.py <<'PYTHON'
import contextlib
import json
import logging
import os
import sys

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
import boto3
import s3fs
import smart_open
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
url = "http://%s:%d" % server.get_host_and_port()
store = boto3.client("s3", endpoint_url=url)
store.create_bucket(Bucket="a-bucket")
files = s3fs.S3FileSystem(client_kwargs={"endpoint_url": url})


def left(opened, around=None):
    """Write what JSON cannot hold in place of a good object; give what is in the bucket then."""
    store.put_object(Bucket="a-bucket", Key="model.json", Body=b'{"weights": [1]}')
    try:
        with around or contextlib.nullcontext(), opened() as file:
            json.dump({"weights": [2, 3], "rate": object()}, file)
    except TypeError:
        return store.get_object(Bucket="a-bucket", Key="model.json")["Body"].read().decode()
    return "no error"


def by_s3fs():
    return files.open("a-bucket/model.json", "w")


def by_smart_open():
    return smart_open.open("s3://a-bucket/model.json", "w", transport_params={"client": store})


seen = left(by_s3fs), left(by_s3fs, files.transaction), left(by_smart_open)
print("s3fs %s, in a transaction %s, smart_open %s" % seen)
server.stop()
whole = '{"weights": [1]}'
sys.exit(not (seen[0].startswith('{"weights": [2, 3]') and not seen[0].endswith("}") and seen[1:] == (whole, whole)))
PYTHON
env/bin/python check.py
