#!/usr/bin/env python3
"""Seconds of SGD on the CPU and on a GPU, over the same batch.

usage: benchmarks/sgd_on_gpu.py [REPEATS]      (default: 5)
       docker run --rm --gpus all -v "$PWD/benchmarks:/mnt:ro" sagemaker-rllib:gpu python /mnt/sgd_on_gpu.py

Runs in the environment of a job: the image, or .venv. Each device has a process of its own, in which PPO's optimizer
learns from the batch that the first of them has played; its first time is left out, for it holds what TensorFlow does
but once. `load` brings the batch to the device, `SGD` is all epochs over it. Without a GPU only the CPU is measured.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


class Case(NamedTuple):
    """A network, and the batch that it learns from."""

    title: str
    env: str
    model: Dict[str, Any]
    batch: int
    minibatch: int


EPOCHS = 4
CASES = [
    Case("fully connected, 2 x 64", "CartPole-v1", {"fcnet_hiddens": [64, 64]}, 4096, 256),
    Case("fully connected, 2 x 1024", "CartPole-v1", {"fcnet_hiddens": [1024, 1024]}, 4096, 1024),
    Case("convolutions, as `catch`", "Catch-v0", {}, 1024, 256),
    Case("convolutions, large batch", "Catch-v0", {}, 8192, 2048),
]


def main(repeats: int) -> None:
    """Measures every case on every device, and prints a row each."""
    from rl_app.machine import detect, has_cuda

    gpus = detect().gpus
    if not gpus:
        why = (
            "none that CUDA can see"
            if has_cuda()
            else "this TensorFlow has no CUDA (the image sagemaker-rllib:gpu has)"
        )
        print(f"no GPU: {why}. Measured is the CPU alone.")
    devices = ["CPU", "GPU"] if gpus else ["CPU"]
    columns = [f"{device} {part}" for device in devices for part in ("load", "SGD")]
    print(f"{'':26}{'batch':>7}{'minibatch':>11}", *(f"{column:>10}" for column in columns), f"{'times':>7}")
    for number, case in enumerate(CASES):
        with tempfile.TemporaryDirectory() as folder:
            rows = [measure(number, device, repeats, Path(folder) / "batch.npz") for device in devices]
        seconds = [row[part] for row in rows for part in ("load", "sgd")]
        totals = [row["load"] + row["sgd"] for row in rows]
        times = f"{totals[0] / totals[-1]:7.1f}" if gpus else f"{'-':>7}"
        print(f"{case.title:26}{case.batch:7}{case.minibatch:11}", *(f"{s:10.3f}" for s in seconds), times, flush=True)
    print(f"seconds, medians of {repeats}; {EPOCHS} epochs")


def measure(number: int, device: str, repeats: int, batch: Path) -> Dict[str, float]:
    """The medians of one case on one device, from a process of its own."""
    words = [sys.executable, __file__, "--child", str(number), device, str(repeats), str(batch)]
    environ = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)
    if done.returncode != 0:
        raise SystemExit(f"{CASES[number].title} on the {device}: {done.stderr.strip()[-2000:]}")
    medians: Dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return medians


def child(case: Case, num_gpus: int, repeats: int, file: Path) -> Dict[str, float]:
    """Learns from the batch of the file, which is made where it is not there."""
    import numpy as np
    from ray.rllib.agents.registry import get_agent_class
    from ray.rllib.policy.sample_batch import SampleBatch
    from ray.rllib.utils.timer import TimerStat
    from ray.tune.registry import register_env

    from rl_app.envs.contract.creation import creator
    from rl_app.machine import detect
    from rl_app.training import ray_runtime
    from rl_app.training.trial import check_gpus

    register_env(case.env, creator(case.env, seed=0))
    with ray_runtime.running(detect(), num_gpus):
        check_gpus(num_gpus)
        trainer = get_agent_class("PPO")(
            env=case.env,
            config={
                "num_gpus": num_gpus,
                "num_workers": 0,
                "num_envs_per_worker": 16,
                "rollout_fragment_length": case.batch // 16,
                "train_batch_size": case.batch,
                "sgd_minibatch_size": case.minibatch,
                "num_sgd_iter": EPOCHS,
                "model": case.model,
                "vf_share_layers": True,
                "seed": 0,
                "log_level": "ERROR",
            },
        )
        worker, optimizer = trainer.workers.local_worker(), trainer.optimizer
        if not file.exists():
            played = worker.sample()
            np.savez(file, **{name: column for name, column in played.items() if column.dtype != object})
        columns = dict(np.load(file))
        # What the optimizer normalizes is a copy, each time the same
        worker.sample = lambda: SampleBatch({name: column.copy() for name, column in columns.items()})
        seconds: Dict[str, List[float]] = {"load": [], "sgd": []}
        for _ in range(repeats + 1):
            optimizer.load_timer, optimizer.grad_timer = TimerStat(), TimerStat()
            optimizer.step()
            seconds["load"].append(optimizer.load_timer.mean)
            seconds["sgd"].append(optimizer.grad_timer.mean)
    return {part: statistics.median(measured[1:]) for part, measured in seconds.items()}


if __name__ == "__main__":
    if any(word in ("-h", "--help") for word in sys.argv[1:]):
        print(__doc__)
    elif sys.argv[1:2] == ["--child"]:
        number_, device_, repeats_, file_ = sys.argv[2:]
        print(json.dumps(child(CASES[int(number_)], int(device_ == "GPU"), int(repeats_), Path(file_))))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 5)
