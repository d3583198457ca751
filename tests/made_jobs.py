"""Jobs in a store, as a local job leaves them, without training one."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from rl_app.storage.base import Store

ROOT = Path(__file__).parents[1]
METRICS = [
    {
        "training_iteration": number,
        "episode_reward_mean": None if number == 1 else 20.0 * number,
        "episode_reward_min": None if number == 1 else 10.0 * number,
        "episode_reward_max": None if number == 1 else 30.0 * number,
        "timesteps_total": 1000 * number,
        "time_total_s": 1.5 * number,
        "entropy": 0.5 / number,
    }
    for number in range(1, 6)
]
LINES = "".join(json.dumps(row) + "\n" for row in METRICS).encode()


def archive(files: Dict[str, bytes]) -> bytes:
    """A .tar.gz of {name: content}."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return target.getvalue()


def make(store: Store, name: str, state: str = "Completed", **record: Any) -> None:
    """A job that has ended, or one that runs and has only its live files."""
    facts = json.dumps({"stop": {"episode_reward_mean": 95}}).encode()
    output = {"metrics.jsonl": LINES, "facts.json": facts, "report.html": b"<html>", "videos/iteration-5.mp4": b"mp4"}
    for file, content in output.items():
        store.write(f"{name}/output/intermediate/{file}", content)
    if state != "InProgress":
        store.write(f"{name}/output/output.tar.gz", archive(output))
        store.write(f"{name}/output/model.tar.gz", archive({"1/saved_model.pb": b"graph", "policy.onnx": b"policy"}))
    described = {
        "TrainingJobName": name,
        "TrainingJobStatus": state,
        "CreationTime": "2026-01-02T03:04:05+00:00",
        "TrainingStartTime": "2026-01-02T03:04:06+00:00",
        "HyperParameters": {"experiment": "cartpole"},
        **record,
    }
    store.write(f"{name}/job.json", json.dumps(described).encode())


def script(
    name: str, *words: str, cwd: Path, environ: Optional[Dict[str, str]] = None, root: Path = ROOT
) -> Tuple[int, str, List[str]]:
    """Runs a script: its exit status, what it printed, and the lines that it said."""
    settings = {key: value for key, value in os.environ.items() if key not in ("STORE", "JOB")}
    done = subprocess.run(
        [str(root / "scripts" / name), *words],
        cwd=cwd,
        # by default a port on which nothing listens: no MinIO
        env={**settings, "S3_PORT": "1", "COLUMNS": "100", **(environ or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr.splitlines()
