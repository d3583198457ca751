#!/usr/bin/env bash
# What happens: imageio 2.38.1 writes a GIF by Pillow 11.3.0, which makes one of pictures that are equal and come one after the
#   other, and lets it stay for as long as they would. Of seven pictures, among them three and two that are equal, the file has
#   four, and imread gives four. Times are in hundredths of a second, rounded down: at 30 a second the seven stay 0.22 s, not
#   0.233, and at 60 a second 0.1 s, not 0.117. Of seven that all differ there are seven.
# One would have guessed: as many pictures come back as were written, at about the rate they were written with.
# Where it matters: an agent that stands still has fewer pictures than steps, so that picture and step no longer go together
#   in what reads the file; with rewards or actions beside it, by number, they belong to other pictures. A picture that stays
#   longer looks the same to the eye.
#
# Needs Python 3.11 (PYTHON names it, where it is not python3.11 on PATH) and a package index; takes about a minute.
# Exit status: 0 the libraries still behave so, 1 they do not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check 'imageio==2.38.1' 'pillow==11.3.0' 'numpy==2.4.6'
cd "$work"
cat > check.py <<'PYTHON'
import sys

import imageio.v2
import imageio.v3
import numpy as np
from PIL import Image, ImageSequence


def written(rate, *shades):
    """Write a picture of each shade; give how many are read, and how long they stay, in thousandths of a second."""
    imageio.v2.mimsave("played.gif", [np.full((32, 32, 3), shade, np.uint8) for shade in shades], fps=rate)
    with Image.open("played.gif") as file:
        stay = sum(picture.info["duration"] for picture in ImageSequence.Iterator(file))
    return len(imageio.v3.imread("played.gif")), stay


STILL = 0, 50, 50, 50, 100, 100, 150
seen = {rate: written(rate, *STILL) for rate in (30, 50, 60)}
moving = written(30, *range(0, 210, 30))
print(f"of seven pictures with equal ones, by their rate: {seen}; of seven that differ at 30: {moving}")
sys.exit(not (seen == {30: (4, 220), 50: (4, 140), 60: (4, 100)} and moving[0] == 7))
PYTHON
env/bin/python check.py
