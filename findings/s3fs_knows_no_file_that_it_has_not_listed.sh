#!/usr/bin/env bash
# What happens: s3fs 2026.9.0 that has listed a folder answers from that list from then on. A file that another writes into the
#   folder after it does not exist: exists is False, info, cat and open raise FileNotFoundError, although they ask for the
#   one key and it is there; find, called in between, shows it and changes none of that. A file that has grown has its old
#   size, and open raises FileExpired, while cat gives the new contents.
# One would have guessed: a list may be old, but a file that is asked for by its name is asked of the bucket; or the list
#   is renewed after some time, or by find.
# Where it matters: a program that lists a job's checkpoints and then waits for the next, or for a marker that says the job is
#   done, waits for ever; a cat that worked in one process fails in another, by what was listed before. The setting
#   use_listings_cache=False turns it off.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 's3fs==2026.9.0' 'moto[s3,server]==5.2.5' 'boto3==1.43.117'
cd "$work"
cat > check.py <<'PYTHON'
import logging
import os
import sys

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
import boto3
import s3fs
from moto.server import ThreadedMotoServer


def told(call):
    """Give what a call returns, or the name of its error."""
    try:
        return call()
    except Exception as error:
        return type(error).__name__


logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
url = "http://%s:%d" % server.get_host_and_port()
job = boto3.client("s3", endpoint_url=url)
job.create_bucket(Bucket="a-bucket")


def watched(**options):
    """List a run of one file, write another and more of the first; give what is said of each."""
    files = s3fs.S3FileSystem(client_kwargs={"endpoint_url": url}, skip_instance_cache=True, **options)
    job.put_object(Bucket="a-bucket", Key="run/log", Body=b"1")
    job.delete_object(Bucket="a-bucket", Key="run/done")
    files.ls("a-bucket/run")
    job.put_object(Bucket="a-bucket", Key="run/log", Body=b"123456")
    job.put_object(Bucket="a-bucket", Key="run/done", Body=b"yes")
    done, log = "a-bucket/run/done", "a-bucket/run/log"
    found = done in files.find("a-bucket/run")
    late = [told(lambda: files.exists(done)), told(lambda: files.cat(done)), told(lambda: files.open(done).read())]
    return found, late, [told(lambda: files.size(log)), told(lambda: files.open(log).read()), told(lambda: files.cat(log))]


plain, without = watched(), watched(use_listings_cache=False)
print(f"find, [exists, cat, open of the new], [size, open, cat of the grown]:\n{plain}\nwithout the cache {without}")
server.stop()
missing = (True, [False, "FileNotFoundError", "FileNotFoundError"], [1, "FileExpired", b"123456"])
sys.exit(not (plain == missing and without == (True, [True, b"yes", b"yes"], [6, b"123456", b"123456"])))
PYTHON
env/bin/python check.py
