#!/usr/bin/env bash
# What happens: sagemaker-inference 1.10.1 decodes the row "0.5,1.0" of text/csv to an array of two numbers, and "0.5,1" to
#   a record without a dimension that holds a float and an int, with which nothing can be calculated. An empty cell is 0
#   in a row of whole numbers, -1 in several rows of them and False in a row with a fraction.
# One would have guessed: a row of numbers is an array of numbers, however they are written, and an empty cell is a NaN.
# Where it matters: a client that writes 1.0 as "1" gets answers from a model for most of its observations and errors for
#   the others; and a sensor that gave nothing is taken for one that gave 0 or -1. JSON is decoded to an array for both.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'sagemaker-inference==1.10.1' 'numpy==2.4.6'
cd "$work"
cat > check.py <<'PYTHON'
import sys

from sagemaker_inference.decoder import decode

whole, mixed = decode("0.5,1.0\n", "text/csv"), decode("0.5,1\n", "text/csv")
json = decode("[0.5, 1]", "application/json")
for name, array in {"0.5,1.0": whole, "0.5,1": mixed, "[0.5, 1] as JSON": json}.items():
    print(f"{name}: shape {array.shape}, type {array.dtype}")
one, two, fraction = (decode(text, "text/csv") for text in ("1,,3\n", "1,,3\n4,5,6\n", "1.5,,3\n"))
empty = one[1].item(), two[0, 1].item(), fraction["f1"].item()
print(f"an empty cell: {empty[0]} in 1,,3; {empty[1]} with a second row 4,5,6; {empty[2]} in 1.5,,3")
seen = whole.shape == json.shape == (2,) and mixed.shape == () and mixed.dtype.names == ("f0", "f1")
sys.exit(not (seen and empty == (0, -1, False) and empty[2] is False))
PYTHON
env/bin/python check.py
