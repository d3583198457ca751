"""A launcher in the form of AWS's examples of 2020: a cluster by ``ray start``, Tune's experiment, RLlib's export."""

import glob
import json
import os
import shutil
import socket
import subprocess
import time

import ray
from ray.rllib.agents.registry import get_agent_class
from ray.tune import run_experiments

from .configuration_list import applied

INTERMEDIATE, MODEL, PORT = "/opt/ml/output/intermediate", "/opt/ml/model", 6379


class Launcher:
    """What a program makes a class of its own of: an environment's name, and an experiment."""

    def __init__(self):
        self.num_cpus = int(os.environ["SM_NUM_CPUS"])
        self.hosts = json.loads(os.environ["SM_RESOURCE_CONFIG"])["hosts"]
        self.host = os.environ["SM_CURRENT_HOST"]

    def register_env_creator(self):
        raise NotImplementedError

    def get_experiment_config(self):
        raise NotImplementedError

    @classmethod
    def train_main(cls):
        cls().launch()

    def launch(self):
        self.register_env_creator()
        if self.host != self.hosts[0]:
            self.join()
            return
        ray.init(**self.cluster())
        config = applied(self.get_experiment_config())
        training = config["training"]
        training.update(local_dir=INTERMEDIATE, checkpoint_at_end=True)
        if len(self.hosts) > 1:  # more than any other host has: Ray would start the trainer on either
            training["config"]["num_cpus_for_driver"] = 2
        run_experiments(config)
        self.leave(training["run"], training["config"]["env"])

    def cluster(self):
        if len(self.hosts) == 1:
            return {"num_cpus": max(self.num_cpus, 3)}
        address = socket.gethostbyname(self.host)
        start = ["ray", "start", "--head", f"--redis-port={PORT}", f"--node-ip-address={address}"]
        subprocess.run([*start, "--num-cpus=2"], check=True)
        ray.init(address=f"{address}:{PORT}")
        until(lambda: len(ray.nodes()) == len(self.hosts))
        print("nodes:", len(ray.nodes()), flush=True)
        ray.shutdown()
        return {"address": f"{address}:{PORT}"}

    def join(self):
        address = (socket.gethostbyname(self.hosts[0]), PORT)
        start = ["ray", "start", f"--address={address[0]}:{PORT}", "--num-cpus=1"]
        until(lambda: answers(address) and subprocess.run(start).returncode == 0)  # the head answers before it is whole
        print("joined as", socket.gethostname(), flush=True)
        until(lambda: not answers(address))

    def leave(self, run, env):
        (params,) = glob.glob(f"{INTERMEDIATE}/training/*/params.json")
        shutil.copy(params, f"{MODEL}/params.json")
        saved = glob.glob(f"{INTERMEDIATE}/training/*/checkpoint_*/checkpoint-*")
        newest = max((each for each in saved if "." not in os.path.basename(each)), key=os.path.getmtime)
        for ending in ("", ".tune_metadata"):
            shutil.copy(newest + ending, f"{MODEL}/checkpoint{ending}")
        with open(f"{MODEL}/params.json") as file:
            config = {**json.load(file), "monitor": False, "num_workers": 1, "num_gpus": 0}
        agent = get_agent_class(run)(env=env, config=config)
        agent.restore(f"{MODEL}/checkpoint")
        agent.export_policy_model(f"{MODEL}/1")


def answers(address):
    """Tell whether anything listens there."""
    try:
        socket.create_connection(address, 2).close()
    except OSError:
        return False
    return True


def until(holds, deadline_s=120):
    """Wait until a condition holds."""
    end = time.monotonic() + deadline_s
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(holds)
        time.sleep(0.2)
