"""What a cluster's first host does for the others, part by part.

usage: parts.py HOSTS [STANDS_FOR ...]      (costs.py runs it, on the head)

Prints a JSON object a line, of names and figures: the first of the cluster itself, with two workers a host; then one
for each number of hosts that it stands for, of the driver alone: the workers are asked as often as theirs would be.
All is CPU time, of RLlib 0.8.5's code and of ours but for the workers: what they would sample is there already.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Callable, Dict, Iterator, List, Sequence

import numpy as np
import psutil
import ray
import redis
from by_hand import PASSWORD
from joining import wait_for
from ray.rllib.optimizers.aso_aggregator import SimpleAggregator
from ray.rllib.optimizers.aso_tree_aggregator import AggregationWorker, TreeAggregator
from ray.rllib.policy.sample_batch import SampleBatch

from rl_app.training.fast.collecting import collect

WORKERS_A_HOST = 2
STEPS, FRAGMENTS_A_BATCH = 200, 10
SMALL, PICTURES = "10 KB", "1.4 MB"
SHAPES = {SMALL: (4,), PICTURES: (42, 42, 4)}
"""Those of observations, by the size of a fragment: 200 steps of numbers, or of small pictures."""
WEIGHTS_MB = (0.1, 1, 10)
FRAGMENTS, BROADCASTS, IDLE_S = 1000, 50, 10
Found = Dict[str, float]


@ray.remote(num_cpus=1)
class Player:
    """Has a fragment, which it sends each time it is asked, and takes weights."""

    def __init__(self) -> None:
        self._fragment: Any = None

    def have(self, shape: Sequence[int]) -> None:
        columns = ("rewards", "dones", "vf_preds", "advantages", "value_targets", "action_logp", "actions", "eps_id")
        random = np.random.default_rng(1)
        observations = random.integers(0, 255, (STEPS, *shape)).astype(np.uint8 if len(shape) > 1 else np.float32)
        self._fragment = SampleBatch({"obs": observations, **{name: np.zeros(STEPS, np.float32) for name in columns}})

    def sample(self) -> SampleBatch:
        return self._fragment

    def set_weights(self, weights: Any) -> None:
        pass


class Meter:
    """Writes down what CPU processes of this host take."""

    def __init__(self, found: Found, **processes: List[psutil.Process]) -> None:
        self._found, self._processes = found, processes

    @contextmanager
    def each(self, name: str, times: float) -> Iterator[None]:
        """Notes the ms that each of so many times takes that the block does."""
        before = self._now()
        yield
        for process, now in self._now().items():
            self._found[f"{name}: ms of {process}"] = (now - before[process]) / times

    def _now(self) -> Found:
        times = {name: [each.cpu_times() for each in found] for name, found in self._processes.items()}
        return {name: 1000 * sum(each.user + each.system for each in taken) for name, taken in times.items()}


def main(hosts: int, stands_for: Sequence[int]) -> Iterator[Found]:
    """Yields what is found, as it is."""
    wait_for(hosts)
    aggregators = [AggregationWorker.options(num_cpus=0).remote()]  # before the others, so that it is here
    players = [Player.remote() for _ in range(hosts * WORKERS_A_HOST)]
    yield of_cluster({"hosts": hosts}, players, aggregators)
    for more in stands_for:
        found: Found = {"hosts": more}
        meter, as_many = Meter(found, driver=[psutil.Process()]), players * (more // hosts)
        collected(meter, as_many, SMALL)
        sent(meter, as_many, WEIGHTS_MB[0])
        yield found


def of_cluster(found: Found, players: Sequence[Any], aggregators: Sequence[Any]) -> Found:
    """Returns what all costs that is measured."""
    meter = Meter(found, driver=[psutil.Process()], raylet=running("raylet/raylet"))
    for size in SHAPES:
        collected(meter, players, size)
    aggregated(meter, players, aggregators)
    for megabytes in WEIGHTS_MB:
        sent(meter, players, megabytes)
    time.sleep(2.0)  # what was done has settled
    idle = Meter(found, raylet=running("raylet/raylet"), redis=running("redis-server"), gcs=running("gcs_server"))
    with idle.each("a second of nothing", IDLE_S):
        time.sleep(IDLE_S)
    return {**found, **redis_holds()}


def collected(meter: Meter, players: Sequence[Any], size: str) -> None:
    """Collects fragments as PPO does it here, and as IMPALA does it where nobody aggregates for it."""
    ray.get([each.have.remote(SHAPES[size]) for each in players])
    batch = FRAGMENTS_A_BATCH * len(players)
    rounds = max(1, FRAGMENTS // batch)
    with meter.each(f"PPO, {size} of each worker", rounds * FRAGMENTS_A_BATCH):
        for _ in range(rounds):
            collect(players, STEPS, batch * STEPS)
    simple = SimpleAggregator(workers(players), train_batch_size=STEPS * FRAGMENTS_A_BATCH)
    with meter.each(f"IMPALA, {size} of each worker", FRAGMENTS / len(players)):
        take(simple)


def aggregated(meter: Meter, players: Sequence[Any], aggregators: Sequence[Any]) -> None:
    """Has an actor beside the driver make batches of pictures, as IMPALA does with `num_aggregation_workers`."""
    tree = TreeAggregator(workers(players), len(aggregators), train_batch_size=STEPS * FRAGMENTS_A_BATCH)
    tree.init(aggregators)
    with meter.each(f"IMPALA with aggregation, {PICTURES} of each worker", FRAGMENTS / len(players)):
        take(tree, lambda: ray.wait([*tree.agg_tasks._tasks]))


def take(aggregator: Any, wait: Callable[[], Any] = lambda: None) -> None:
    """Takes what IMPALA's learner would be given; ``wait``: for more, where else it would ask over and over."""
    taken = 0
    while taken < FRAGMENTS * STEPS:
        wait()
        taken += sum(batch.count for batch in aggregator.iter_train_batches())


def sent(meter: Meter, players: Sequence[Any], megabytes: float) -> None:
    """Sends weights to all as `WorkerSet.sync_weights`, and waits for them."""
    weights = {"layer": np.zeros(int(megabytes * 250_000), np.float32)}
    with meter.each(f"weights of {megabytes:g} MB to all workers", BROADCASTS):
        for _ in range(BROADCASTS):
            there = ray.put(weights)
            ray.get([each.set_weights.remote(there) for each in players])


def workers(players: Sequence[Any]) -> Any:
    """Returns what an aggregator asks of a WorkerSet."""
    local = SimpleNamespace(get_weights=lambda: {"layer": np.zeros(25_000, np.float32)})
    return SimpleNamespace(local_worker=lambda: local, remote_workers=lambda: players)


def running(part: str) -> List[psutil.Process]:
    """Returns the processes of this host whose program has that name."""
    return [each for each in psutil.process_iter(["cmdline"]) if part in (each.info["cmdline"] or [""])[0]]


def redis_holds() -> Found:
    """Returns what Ray's redis and its shards hold together, and the connections that one takes."""
    host, _, port = ray.worker._global_node.redis_address.partition(":")
    first = redis.StrictRedis(host, int(port), password=PASSWORD)
    shards = (each.decode().rpartition(":") for each in first.lrange("RedisShards", 0, -1))
    servers = [first, *(redis.StrictRedis(name, int(number), password=PASSWORD) for name, _, number in shards)]
    return {
        "redis: MB": sum(each.info("memory")["used_memory"] for each in servers) / 1e6,
        "redis: most connections of a server": max(each.info("clients")["connected_clients"] for each in servers),
        "redis: connections that it takes": min(int(each.config_get("maxclients")["maxclients"]) for each in servers),
    }


if __name__ == "__main__":
    for figures in main(int(sys.argv[1]), [int(word) for word in sys.argv[2:]]):
        print(json.dumps(figures), flush=True)
