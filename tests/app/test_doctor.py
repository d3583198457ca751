"""`doctor` as it is run, in the environment of a process: it tells what is true here."""

import json
import os
import platform
import shutil
import sys

from rl_app import machine
from tests.app.jobs import run

DOCTOR = [sys.executable, "-m", "rl_app", "doctor"]


def test_it_fits_one_screen_and_nothing_is_wrong_here():
    ran = run(DOCTOR, COLUMNS="100", PATH=os.path.dirname(sys.executable), STORE="", AWS_ENDPOINT_URL_S3="")
    assert ran.status == 0, ran
    lines = ran.stdout.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 100
    assert {line.split()[0] for line in lines if not line.startswith(" ")} <= {"ok", "note"}
    assert "GPUs       none; no CUDA either" in ran.stdout
    assert ran.stderr == ""


def test_as_json_it_has_the_facts(tmp_path):
    ran = run([*DOCTOR, "--json"], STORE=str(tmp_path), SAGEMAKER_BASE_DIR=str(tmp_path))
    told = json.loads(ran.stdout)
    found = {finding["what"]: finding for finding in told["findings"]}
    assert told["status"] == ran.status == 0
    assert found["versions"]["versions"]["Python"] == platform.python_version()
    assert found["versions"]["versions"]["ray"] == "0.8.5"
    assert found["CPUs"]["cpus"] == machine.detect().cpus
    assert found["memory"]["bytes"] == machine.memory()
    assert abs(found["disk"]["bytes_free"] - shutil.disk_usage(tmp_path).free) < 1024**3
    assert found["store"]["found"] == f"{tmp_path} is reached"


def test_a_store_that_is_not_reached_is_wrong_and_the_status_says_so():
    ran = run(
        DOCTOR,
        STORE="s3://rllib",
        AWS_ENDPOINT_URL_S3="http://127.0.0.1:1",
        AWS_ACCESS_KEY_ID="a",
        AWS_SECRET_ACCESS_KEY="b",
    )
    assert ran.status == 5
    assert "wrong  store" in ran.stdout and "cannot reach http://127.0.0.1:1" in " ".join(ran.stdout.split())
