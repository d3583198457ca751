#!/usr/bin/env bash
# What happens: webdataset 1.0.2 writes a sample's parts under its key, a dot and the part's name, and reads what stands before the
#   first dot as the key. Of three samples that are written with the keys t-0.5, t-1.0 and t-1.5 two are read: t-0 and t-1; their
#   parts are called 5.json, and 0.json and 5.json. Nothing is said, by the writer or by the reader. A dot in a folder's name
#   in front of it does no harm.
# One would have guessed: what is written comes back, as many samples and by their names; or the writer refuses such a key.
# Where it matters: a key with a time, a rate or a version in it, as lr-0.01 and lr-0.02: their samples become one, if they come one
#   after the other, and the part that a pipeline asks for, such as json, is in none.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the library still behaves so, 1 it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'webdataset==1.0.2' 'numpy==2.4.6'
cd "$work"
cat > check.py <<'PYTHON'
import sys

import webdataset


def read_back(*keys):
    """Write a sample for each key; give the key and the parts of each that is read."""
    with webdataset.TarWriter("samples.tar") as writer:
        for key in keys:
            writer.write({"__key__": key, "json": {"key": key}})
    samples = webdataset.WebDataset("samples.tar", shardshuffle=False)
    return [(sample["__key__"], sorted(part for part in sample if not part.startswith("__"))) for sample in samples]


dots, dashes, folders = read_back("t-0.5", "t-1.0", "t-1.5"), read_back("t-0-5", "t-1-0"), read_back("lr-0.01/1", "lr-0.02/1")
print(f"keys with a dot {dots}, without {dashes}, with a dot in the folder {folders}")
whole = dashes == [("t-0-5", ["json"]), ("t-1-0", ["json"])] and folders == [("lr-0.01/1", ["json"]), ("lr-0.02/1", ["json"])]
sys.exit(not (whole and dots == [("t-0", ["5.json"]), ("t-1", ["0.json", "5.json"])]))
PYTHON
env/bin/python check.py
