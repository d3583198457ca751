#!/usr/bin/env bash
# What happens: NumpySerializer(dtype="float32") of the SageMaker Python SDK 2.257.7 sends a list as float32, and an array as
#   the type it has: one of float64 as float64, twice as many bytes. NumpyDeserializer(dtype="float32") does not convert
#   what comes as application/x-npy either, but does what comes as JSON or CSV. Nothing is said of it.
# One would have guessed: a type that is asked for is the one that is sent, and the one that is given.
# Where it matters: observations of Gym's environments are float64 as soon as something was calculated with them; a model
#   exported for float32 refuses them, and a test that sends a list passes.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes a minute or two.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'sagemaker==2.257.7' 'numpy==2.4.6'
cd "$work"
cat > check.py <<'PYTHON'
import io
import json
import sys

import numpy as np
from sagemaker.deserializers import NumpyDeserializer
from sagemaker.serializers import NumpySerializer

OBSERVATION = [[0.1, 0.2, 0.3, 0.4]]


def sent(observation):
    """Give the type that an observation arrives with."""
    return str(np.load(io.BytesIO(NumpySerializer(dtype="float32").serialize(observation))).dtype)


def given(answer, content_type):
    """Give the type that an answer is given as."""
    return str(NumpyDeserializer(dtype="float32").deserialize(io.BytesIO(answer), content_type).dtype)


array = np.array(OBSERVATION)
sends = {"list": sent(OBSERVATION), "array": sent(array)}
gives = {
    "json": given(json.dumps(OBSERVATION).encode(), "application/json"),
    "csv": given(b"0.1,0.2,0.3,0.4", "text/csv"),
    "npy": given(NumpySerializer().serialize(array), "application/x-npy"),
}
print("float32 asked for: sent as %s, given as %s" % (sends, gives))
holds = sends == {"list": "float32", "array": "float64"}
sys.exit(not (holds and gives == {"json": "float32", "csv": "float32", "npy": "float64"}))
PYTHON
env/bin/python check.py
