"""The media types of requests and answers.

A new one is a module here that makes a :class:`~rl_app.serving.media_types.media_type.MediaType`, and its place in
:data:`MEDIA_TYPES`: from there the server reads and writes it, and its OpenAPI document describes it.
"""

from __future__ import annotations

from rl_app.serving.media_types.csv import CSV
from rl_app.serving.media_types.json import JSON
from rl_app.serving.media_types.json_lines import JSON_LINES
from rl_app.serving.media_types.npy import NPY

MEDIA_TYPES = (JSON, JSON_LINES, CSV, NPY)
"""All of them; of those that suit an ``Accept`` equally well the first is taken."""
