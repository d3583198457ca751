#!/usr/bin/env bash
# What happens: jsonlines 4.0.0 reads with the json of Python, and with orjson where that is installed, by whomever and for whatever.
#   What its own writer wrote then is another thing: {"reward": NaN} is a NaN without orjson and an InvalidLineError beside
#   orjson 3.13.0, which skip_invalid=True makes a line that is not there; 2 ** 64 is a whole number, and a float. It writes
#   with Python's json in either case.
# One would have guessed: the same file has the same lines, whatever else is installed; what it writes it reads.
# Where it matters: results of a training that had no episode yet hold NaN, in Tune's result.json among others: a file that was
#   read for months cannot be read after some other package has brought orjson with it, or has fewer lines; and a seed or an
#   id of more than 64 bits is another one.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes seconds.
# Exit status: 0 the libraries still behave so, 1 they do not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'jsonlines==4.0.0'
cd "$work"
cat > check.py <<'PYTHON'
import math
import sys

import jsonlines

with jsonlines.open("results.jsonl", "w") as writer:
    writer.write_all([{"reward": 1.5}, {"reward": math.nan}, {"reward": 2**64}])
with jsonlines.open("results.jsonl") as reader:
    lines = [line["reward"] for line in reader.iter(skip_invalid=True)]
with jsonlines.open("results.jsonl") as reader:
    try:
        strict = len(list(reader))
    except jsonlines.InvalidLineError as error:
        strict = f"line {error.lineno}: InvalidLineError"
print(f"{sys.argv[1]}: {strict}; with skip_invalid {lines}")
beside = strict == "line 2: InvalidLineError" and repr(lines) == "[1.5, 1.8446744073709552e+19]"
alone = strict == 3 and repr(lines) == "[1.5, nan, 18446744073709551616]"
sys.exit(not (beside if sys.argv[1] == "beside" else alone))
PYTHON
env/bin/python check.py alone
env/bin/pip install --quiet --disable-pip-version-check 'orjson==3.13.0'
env/bin/python check.py beside
