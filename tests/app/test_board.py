"""TensorBoard on the jobs of a directory: `scripts/board`, as a person starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from scripts.lib.environments import IMAGE, ROOT, is_current
from tests.app.jobs import REPOSITORY, Finished
from tests.ports import free_port
from tests.waiting import until

pytestmark = pytest.mark.skipif(not is_current(ROOT, [IMAGE]), reason="no .venv: scripts/test makes it")


def ask(port: int, path: str) -> Any:
    return json.loads(urllib.request.urlopen(f"http://127.0.0.1:{port}/data/{path}", timeout=5).read())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_it_shows_the_jobs_and_what_they_learned_on_loopback_only_until_it_is_stopped(
    number: signal.Signals, trained: Finished, tmp_path: Path
) -> None:
    port = free_port()
    words = [str(REPOSITORY / "scripts" / "board"), "--store", str(trained.store), "--port", str(port)]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environ) as process:
        try:
            until(lambda: trained.name in ask(port, "runs"), 60)
            reward = "ray/tune/episode_reward_mean"
            until(lambda: reward in ask(port, "plugin/scalars/tags")[trained.name], 30)
            curve = ask(port, f"plugin/scalars/scalars?run={trained.name}&tag={reward}")
            assert len(curve) == 6
            listening = [
                each.laddr for each in psutil.Process(process.pid).net_connections() if each.status == "LISTEN"
            ]
            assert [tuple(address) for address in listening] == [("127.0.0.1", port)]
        finally:
            process.send_signal(number)
        assert process.wait(timeout=20) == 128 + number
        assert list(tmp_path.iterdir()) == []
        assert process.stderr is not None
        assert process.stderr.read().strip() == f"TensorBoard on the jobs of {trained.store}: http://127.0.0.1:{port}/"
