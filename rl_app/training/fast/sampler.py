"""Sampling as RLlib 0.8.5's SyncSampler does it, for one policy: the same columns, by one array a step."""

from __future__ import annotations

import random
import time
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Type, Union

import numpy as np
from ray.rllib.env.base_env import _DUMMY_AGENT_ID
from ray.rllib.env.vector_env import _VectorizedGymEnv
from ray.rllib.evaluation.rollout_metrics import RolloutMetrics
from ray.rllib.evaluation.sampler import PerfStats, SyncSampler
from ray.rllib.policy.policy import clip_action
from ray.rllib.policy.sample_batch import DEFAULT_POLICY_ID, SampleBatch

from rl_app.envs.contract.checked import CheckedEnv
from rl_app.envs.contract.newer import is_truncated
from rl_app.errors import UserError
from rl_app.training.fast.columns import Columns
from rl_app.training.fast.dense.forward import DenseForward, can_act
from rl_app.training.fast.forward import Forward, in_fragments, zeros_of
from rl_app.training.fast.observations import Observations
from rl_app.training.fast.trajectories import Trajectories

Array = Any  # np.ndarray, which has no parameters on Python 3.8
FIRST_ROWS = 256
NOBODY = np.zeros(0, int)


class LeanSampler(SyncSampler):  # type: ignore[misc]  # Ray has no types
    """In place of a rollout worker's sampler; ``metrics_queue`` and ``perf_stats`` are as there.

    Its batches are RLlib's: with ``truncate_episodes`` a fragment of each environment, with ``complete_episodes``
    an episode at a time.
    """

    def __init__(self, worker: Any) -> None:
        stock, config = worker.sampler, worker.policy_config
        self.policy = worker.policy_map[DEFAULT_POLICY_ID]
        self.env = worker.async_env.vector_env
        self._step_all = stepping(self.env)
        self.metrics_queue, self.perf_stats = stock.metrics_queue, PerfStats()
        self.extra_batches = stock.extra_batches
        self.horizon = horizon_of(stock.base_env, config["horizon"])
        self._soft, self._never_done = config["soft_horizon"], config["no_done_at_end"]
        self._clips = config["clip_actions"]
        self._fragment = config["rollout_fragment_length"] if in_fragments(config) else None
        kind: Type[Union[Forward, DenseForward]] = DenseForward if can_act(self.policy, self.env.num_envs) else Forward
        self._forward = kind(self.policy)
        self._observations = Observations(worker, DEFAULT_POLICY_ID)
        self._trajectories = Trajectories(self.policy, self._forward, config["clip_rewards"])
        self._count = count = self.env.num_envs
        self._columns = Columns(self._fragment or FIRST_ROWS)
        self._ends: List[Array] = []
        self._starts, self._unrolls = np.zeros(count, int), np.zeros(count, int)
        self._none = np.zeros(count, bool)
        self._ready: Deque[Any] = deque()
        self._now: Any = None  # the filtered observations, once there are some
        self._amid = False  # as long as a batch is not whole

    def get_data(self) -> SampleBatch:
        """Return the next batch; the metrics of the episodes that ended before it go into their queue."""
        if self._amid:
            raise StopIteration("an environment has failed amid a step, and what the others did is lost")
        self._amid = True
        self._forward.begin()
        while True:
            while not self._ready:
                self._step()
            item = self._ready.popleft()
            if not isinstance(item, RolloutMetrics):
                self._amid = False
                return item
            self.metrics_queue.put(item)

    def _begin(self) -> None:
        count = self._count
        self._now = self._observations.first(self.env.vector_reset())
        self._episodes = np.array([new_episode() for _ in range(count)])
        self._lengths, self._totals = np.zeros(count, int), np.zeros(count)
        # What the columns tell of the step before, and what the policy is told
        self._actions, self._rewards = zeros_of(self.policy, count), np.zeros(count)
        self._told_actions, self._told_rewards = self._actions, self._rewards

    def _step(self) -> None:
        """Take one step in every environment."""
        began = time.perf_counter()
        if self._now is None:
            self._begin()
        perf, reset_s = self.perf_stats, time.perf_counter() - began
        perf.iters += 1
        began = time.perf_counter()
        chosen = self._forward.act(self._now, self._told_actions, self._told_rewards)
        acted = time.perf_counter()
        actions = chosen[SampleBatch.ACTIONS]
        sent = clip_action(actions, self.policy.action_space) if self._clips else actions
        raw, rewards, dones, infos = self._step_all(list(sent))
        stepped = time.perf_counter()
        self._record(chosen, raw, np.asarray(rewards, np.float64), np.asarray(dones, bool), infos)
        perf.inference_time += acted - began
        perf.env_wait_time += stepped - acted + reset_s
        perf.processing_time += time.perf_counter() - stepped

    def _record(
        self, chosen: Dict[str, Array], raw: Any, rewards: Array, dones: Array, infos: List[Dict[str, Any]]
    ) -> None:
        if any(infos):
            refuse_untrained(infos)
        self._lengths += 1
        self._totals += rewards
        ended = dones | (self._lengths >= self.horizon)
        soft = over = self._none
        restarts = NOBODY
        if ended.any():
            restarts = np.flatnonzero(ended)
            soft = ended & ~dones if self._soft else self._none
            over = ended & ~soft & ~truncated_of(dones, infos)
        row = {
            "t": self._lengths - 1,
            SampleBatch.EPS_ID: self._episodes,
            SampleBatch.CUR_OBS: self._now,
            SampleBatch.REWARDS: rewards,
            SampleBatch.PREV_ACTIONS: self._actions,
            SampleBatch.PREV_REWARDS: self._rewards,
            SampleBatch.DONES: self._none if self._never_done else over,
            SampleBatch.INFOS: as_objects(infos),
            **chosen,
        }
        self._actions = self._told_actions = chosen[SampleBatch.ACTIONS]
        self._rewards = self._told_rewards = rewards
        finished = [self._metrics(index) for index in restarts]
        row[SampleBatch.NEXT_OBS], self._now = self._observations.next(raw, self._restarted(restarts, soft, raw))
        self._append(row, ended)
        self._cut(restarts, finished)

    def _metrics(self, index: int) -> RolloutMetrics:
        total = float(self._totals[index])
        agents = {(_DUMMY_AGENT_ID, DEFAULT_POLICY_ID): total}
        return RolloutMetrics(int(self._lengths[index]), total, agents, {}, {}, {})

    def _restarted(self, over: Array, soft: Array, raw: Any) -> Dict[int, Any]:
        """Begin new episodes; return what is seen first in them."""
        if not len(over):
            return {}
        self._episodes, told = self._episodes.copy(), self._told_actions.copy()
        self._told_rewards = self._rewards.copy()
        told[over], self._told_rewards[over] = 0, 0
        self._rewards = self._told_rewards
        self._told_actions = told
        # RLlib forgets the last action with the episode, and that goes on at a soft horizon
        self._actions = self._actions.copy()
        self._actions[over[~soft[over]]] = 0
        self._lengths[over], self._totals[over] = 0, 0
        first: Dict[int, Any] = {}
        for index in over:  # one after the other, as an environment may draw from Python's generator too
            first[index] = raw[index] if soft[index] else self.env.reset_at(index)
            self._episodes[index] = new_episode()
        return first

    def _append(self, row: Dict[str, Array], ended: Array) -> None:
        if self._columns.full and self._starts.min() > 0:
            past = int(self._starts.min())
            self._columns.forget(past)
            self._starts -= past
        self._columns.append(row)
        if self._fragment:
            self._ends.append(ended)

    def _cut(self, over: Array, finished: List[RolloutMetrics]) -> None:
        """Make batches of what is complete."""
        if self._fragment is None:
            for index, metrics in zip(over, finished):
                self._ready += [metrics, self._episode(index)]
            return
        self._ready += finished
        if self._columns.length == self._fragment:
            self._ends[-1] = np.ones(self._count, bool)
            self._ready.append(
                self._trajectories.batch(self._columns.flat(), np.stack(self._ends, 1).ravel(), self._unrolls)
            )
            self._unrolls += 1
            self._columns.length, self._ends = 0, []

    def _episode(self, index: int) -> SampleBatch:
        columns = self._columns.of(index, self._starts[index])
        ends = np.zeros(len(columns["t"]), bool)
        ends[-1] = True
        batch = self._trajectories.batch(columns, ends, self._unrolls[index : index + 1])
        self._starts[index] = self._columns.length
        self._unrolls[index] += 1
        return batch


def stepping(env: Any) -> Callable[[List[Any]], Any]:
    """Return what steps all environments of a vector.

    RLlib's own, for those of Gym, looks by numpy whether each reward is a number, which takes half as long as a step of
    CartPole: a CheckedEnv has seen to that.
    """
    if type(env) is not _VectorizedGymEnv or any(type(each) is not CheckedEnv for each in env.envs):
        step_all: Callable[[List[Any]], Any] = env.vector_step
        return step_all
    return lambda actions: zip(*[each.step(action) for each, action in zip(env.envs, actions)])


def new_episode() -> int:
    """Return the number of a new episode, drawn as RLlib draws it."""
    return random.randrange(int(2e9))


def truncated_of(dones: Array, infos: List[Dict[str, Any]]) -> Array:
    """Tell which environments cut their episode, which then is not done: a value is expected after its last step."""
    truncated = np.zeros_like(dones)
    for index in np.flatnonzero(dones):
        truncated[index] = is_truncated(infos[index])
    return truncated


def as_objects(values: List[Any]) -> Array:
    """Return the values as a column of objects."""
    column = np.empty(len(values), object)
    column[:] = values
    return column


def refuse_untrained(infos: List[Dict[str, Any]]) -> None:
    """RLlib leaves out a step of whose info ``training_enabled`` is false, which would make fragments uneven."""
    if not all(info.get("training_enabled", True) for info in infos):
        raise UserError("an info of the environment has training_enabled = False: train with fast=false")


def horizon_of(base_env: Any, horizon: Any) -> float:
    """Return the longest episode, by RLlib's rule: the config's, else that of the environment's spec."""
    most = limit_of(base_env)
    if horizon and most and horizon > most:
        raise UserError(f"rl.training.config.horizon = {horizon}: the environment ends its episodes after {most} steps")
    return horizon or most or float("inf")


def limit_of(base_env: Any) -> Any:
    """Return what the environment's spec says of the length of its episodes; None where there is none."""
    try:
        return base_env.get_unwrapped()[0].spec.max_episode_steps
    except Exception:  # as RLlib: whatever the environment has in its place
        return None
