"""The rings of tests: what each holds, what it needs, and when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import List

RINGS = {
    "unit": "one module at a time, lint and types; no Docker",
    "app": "real training, export and local mode in this environment; no Docker",
    "image": "the container image against SageMaker's contract; needs a Docker engine",
    "stack": "docker compose with MinIO, and the scripts; needs a Docker engine",
    "cloud": "what talks to AWS, against stand-ins for it",
    "gpu": "the GPU image, on any machine; needs a Docker engine",
}
NEED_ENGINE = ("image", "stack", "gpu")
"""Rings that tests/conftest.py skips where no Docker engine is."""
ON_REQUEST = {"gpu": "its image of 5 GB takes minutes to build; `scripts/test gpu` runs it"}
"""Rings that run only where they are named, and why."""
CLOUD = "cloud"
"""The ring, and the lock of what it needs besides."""
COUNTS = "SCRIPTS_TEST_COUNTS"
"""The variable with the file that tests/conftest.py writes the number of each outcome to."""


def there(root: Path) -> List[str]:
    """List the rings that have a folder, in their order."""
    return [ring for ring in RINGS if (root / "tests" / ring).is_dir()]
