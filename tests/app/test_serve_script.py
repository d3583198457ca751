"""`scripts/serve --engine process`: a trained job's model, found by name or as the newest, as a user starts it."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import List

import pytest

from tests.app.jobs import REPOSITORY, Finished
from tests.waiting import until


@pytest.mark.parametrize("words", [["trained"], []], ids=["by name", "the newest"])
def test_a_jobs_model_is_served_until_a_signal(words: List[str], trained: Finished, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(str(trained.directory), str(store / trained.name))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
    command = [str(REPOSITORY / "scripts" / "serve"), *words, "--engine", "process", "--store", str(store)]
    process = subprocess.Popen(
        [*command, "--port", url.rpartition(":")[2].strip("/")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    try:
        until(lambda: urllib.request.urlopen(f"{url}ping", timeout=2).status == 200, 60)
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert f"model trained: {store}" in said
    assert "serving PPO on CartPole-v1, mean reward" in said and url in said
