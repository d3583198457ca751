"""Small programs that play the container around which a local job plays SageMaker."""

from __future__ import annotations

import sys
from typing import List

PLAY = """
import json, os, pathlib, signal, subprocess, sys, time
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
def put(name, content="x"):
    (base / name).parent.mkdir(parents=True, exist_ok=True)
    (base / name).write_text(content)
def wait():
    put("ready")
    while True: signal.pause()
def on_sigterm(do):
    signal.signal(signal.SIGTERM, lambda *_: do())
"""
TRAIN = """
put("model/policy.onnx", "policy"); put("model/1/saved_model.pb", "graph")
put("checkpoints/checkpoint_1/checkpoint-1", "weights")
put("output/data/metrics.jsonl", json.dumps({"training_iteration": 1, "timestamp": 1600000000,
    "episode_reward_mean": 480.5, "episode_reward_max": 500.0}) + "\\n")
"""


def container(code: str) -> List[str]:
    return [sys.executable, "-c", PLAY + code]
