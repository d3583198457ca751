"""Small environments at the edges of what is possible; each reward is a plain function of observation and action.

As a user would write them: some are wrong, and what is said of them is what is tested.
"""

import time

import gym
import numpy as np
from gym import spaces


class Base(gym.Env):
    """Ten steps an episode; subclasses say what is seen and what is paid."""

    length = 10

    def __init__(self, config=None):
        self.rng = np.random.RandomState(0)
        self.t = 0

    def seed(self, seed=None):
        self.rng = np.random.RandomState(seed)
        self.observation_space.seed(seed)
        return [seed]

    def look(self):
        return self.observation_space.sample()

    def pay(self, action):
        return 0.0

    def reset(self):
        self.t = 0
        self.seen = self.look()
        return self.seen

    def step(self, action):
        reward = self.pay(action)
        self.t += 1
        self.seen = self.look()
        return self.seen, reward, self.t >= self.length, {}


class GridBits(Base):
    """A board of bits beside a vector."""

    observation_space = spaces.Tuple((spaces.MultiBinary((5, 4)), spaces.Box(0.0, 100.0, (2,), np.float32)))
    action_space = spaces.Discrete(9)

    def pay(self, action):
        return float(action == int(self.seen[0][0].sum()))


class FlatBits(Base):
    observation_space = spaces.MultiBinary([3, 2])
    action_space = spaces.Discrete(2)

    def pay(self, action):
        return float(action == self.seen[0, 0])


class Pairs(Base):
    """A table of numbers, each with its own count."""

    observation_space = spaces.MultiDiscrete([[5, 5], [5, 5], [5, 5], [5, 5]])
    action_space = spaces.Discrete(5)

    def pay(self, action):
        return float(action == self.seen[3, 1])


class Switches(Base):
    """Several switches at once."""

    observation_space = spaces.Box(-1.0, 1.0, (3,), np.float32)
    action_space = spaces.MultiBinary(3)

    def pay(self, action):
        return float(np.sum(np.asarray(action) == (self.seen > 0)))


class Unbounded(Base):
    """Actions without bounds: the nearer to the observation the better."""

    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)

    def pay(self, action):
        return -float(np.linalg.norm(self.seen - action))


class Planes(Base):
    """Small planes, channels first."""

    observation_space = spaces.Box(0.0, 1.0, (4, 5, 5), np.float32)
    action_space = spaces.Discrete(3)

    def pay(self, action):
        return float(action == 0)


class Endless(Base):
    """Never done; a step may take a while."""

    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = spaces.Discrete(2)
    length = float("inf")

    def __init__(self, config=None):
        super().__init__()
        self.pause_s = (config or {}).get("pause_s", 0)

    def pay(self, action):
        time.sleep(self.pause_s)
        return float(action == (self.seen[0] > 0))


class Diverges(Base):
    """A state that grows out of all bounds after the first hundred steps, as a simulator's does."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = spaces.Discrete(2)
    length = 40

    def __init__(self, config=None):
        super().__init__()
        self.config = dict(config or {})
        self.steps = 0

    def look(self):
        self.steps += 1
        bad = {"nan": np.nan, "inf": np.inf, "big": 1e38}[self.config.get("kind", "nan")]
        return np.array([bad if self.steps > 100 else 0.5, 0.1], np.float32)


class Strays(Base):
    """Leaves its own space, but only late in an episode."""

    observation_space = spaces.Box(0.0, 1.0, (2,), np.float32)
    action_space = spaces.Discrete(2)
    length = 200

    def look(self):
        return np.full(2, 0.5 if self.t < 60 else 3.0, np.float32)


class Doubles(Base):
    """float64 observations in a float32 space."""

    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def look(self):
        return self.rng.uniform(-1, 1, 2)


class NewStyle(Base):
    """The newer interface: reset gives (observation, info), step five values."""

    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        return super().reset(), {}

    def step(self, action):
        observation, reward, done, info = super().step(action)
        return observation, reward, done, False, info


class HalfNew(Base):
    """The newer reset, and the older step."""

    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        return super().reset(), {}


class Lopsided(Base):
    """Bounds that differ by dimension and are far from zero."""

    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = spaces.Box(np.array([0.0, 100.0], np.float32), np.array([5.0, 400.0], np.float32))

    def pay(self, action):
        assert self.action_space.contains(np.asarray(action, np.float32)), f"got {action}"
        return -abs(float(action[0]) - 4.0) - abs(float(action[1]) - 300.0) / 100


class Chain(Base):
    """The state is a number."""

    observation_space = spaces.Discrete(20)
    action_space = spaces.Discrete(2)

    def pay(self, action):
        return float(action == self.seen % 2)


class Shifted(Base):
    """Actions that start below zero."""

    observation_space = spaces.Discrete(3)
    action_space = spaces.Discrete(3, start=-1)

    def pay(self, action):
        assert -1 <= action <= 1, f"got {action}"
        return float(action == self.seen - 1)


class Camera(Base):
    """A picture beside a speed."""

    observation_space = spaces.Dict(
        {"picture": spaces.Box(0, 255, (8, 8, 3), np.uint8), "speed": spaces.Box(-1.0, 1.0, (1,), np.float32)}
    )
    action_space = spaces.Discrete(2)

    def pay(self, action):
        return float(action == (self.seen["speed"][0] > 0))


class Sometimes(Base):
    """One bad number in each episode, later than any trial looks."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = spaces.Discrete(2)
    length = 41

    def __init__(self, config=None):
        super().__init__()
        self.bad = {"nan": np.nan, "inf": np.inf, "big": 3e38}[(config or {}).get("kind", "nan")]

    def look(self):
        return np.array([self.bad if self.t == 33 else self.rng.uniform(-1, 1), 0.1], np.float32)

    def pay(self, action):
        return float(action == (self.seen[0] > 0))


class Rarely(Base):
    """Leaves its space for one step of an episode."""

    observation_space = spaces.Box(0.0, 1.0, (2,), np.float32)
    action_space = spaces.Discrete(2)
    length = 41

    def look(self):
        return np.full(2, 7.0 if self.t == 33 else self.rng.uniform(), np.float32)

    def pay(self, action):
        return float(action == (self.seen[0] > 0.5))


class Offset(Base):
    """Actions -1, 0 and 1 move; what came is paid out, so that a reward shows which actions came."""

    observation_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space = spaces.Discrete(3, start=-1)

    def pay(self, action):
        return 10.0 ** int(action)


class Reused(Base):
    """Gives its own array each time, and writes to it in place."""

    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = spaces.Discrete(2)
    length = 64

    def __init__(self, config=None):
        super().__init__()
        self.copies = (config or {}).get("copies", False)
        self.array = np.zeros(2, np.float32)

    def look(self):
        self.array[:] = self.rng.uniform(-1, 1, 2)
        return self.array.copy() if self.copies else self.array

    def pay(self, action):
        return float(action == (self.seen[0] > 0))


class Truths(Base):
    """Tells by True and False which of two it is."""

    observation_space = spaces.Discrete(2)
    action_space = spaces.Discrete(2)

    def look(self):
        return bool(self.rng.randint(2))

    def pay(self, action):
        return float(action == int(self.seen))


class Negatives(Base):
    """A number below its space's first, later than any trial looks."""

    observation_space = spaces.Discrete(4)
    action_space = spaces.Discrete(2)
    length = 41

    def look(self):
        return -1 if self.t == 33 else int(self.rng.randint(4))


class Meddler(Base):
    """Changes the action that it is given."""

    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = spaces.MultiDiscrete([3, 3])

    def pay(self, action):
        action += 1
        return float(action.sum())


class NoInfo(Base):
    """Has nothing to tell beside the reward."""

    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def step(self, action):
        observation, reward, done, _ = super().step(action)
        return observation, reward, done, None


class NumpyInfo(Base):
    """Counts in numpy's numbers."""

    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def step(self, action):
        observation, reward, done, _ = super().step(action)
        return observation, reward, done, {"count": np.int64(self.t), "path": np.arange(2)}


class Wholes(Base):
    """Actions that are whole numbers within bounds."""

    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = spaces.Box(-3, 7, (2,), np.int64)

    def pay(self, action):
        assert self.action_space.contains(action), f"got {action!r}"
        return -float(np.abs(action - 4).sum())


class Bare(Base):
    """A single number, without a dimension."""

    observation_space = spaces.Box(-1.0, 1.0, (), np.float32)
    action_space = spaces.Discrete(2)

    def pay(self, action):
        return float(action == (self.seen > 0))


class Ram(Base):
    """128 features, which are no machine's memory."""

    observation_space = spaces.Box(-1.0, 1.0, (128,), np.float32)
    action_space = spaces.Discrete(2)


class Screen(Base):
    """A picture of the shape of an old machine's screen."""

    observation_space = spaces.Box(0, 255, (210, 160, 3), np.uint8)
    action_space = spaces.Discrete(2)


class Constant(Base):
    """A feature that is the same in all of training."""

    observation_space = spaces.Box(-10.0, 10.0, (3,), np.float32)
    action_space = spaces.Discrete(2)

    def look(self):
        return np.array([self.rng.uniform(-1, 1), 0.5, self.rng.uniform(-1, 1)], np.float32)


class Poison(Base):
    """One NaN, long after every trial, seen with actions that are quantities."""

    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)

    def __init__(self, config=None):
        super().__init__()
        self.steps = 0

    def look(self):
        self.steps += 1
        return np.array([np.nan if self.steps == 158 else 0.5, 0.1], np.float32)


class Parts(Base):
    """Actions by name."""

    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = spaces.Dict({"speed": spaces.Box(0.0, 1.0, (), np.float32), "turn": spaces.Discrete(3, start=-1)})

    def pay(self, action):
        assert self.action_space.contains({**action, "speed": np.asarray(action["speed"])}), f"got {action!r}"
        return float(action["turn"])


class Foreign(Base):
    """A space of nobody's."""

    class Anything(gym.Space):
        def contains(self, x):
            return True

    observation_space = Anything()
    action_space = spaces.Discrete(2)

    def seed(self, seed=None):
        return [seed]

    def look(self):
        return 0


ENVS = {kind.__name__.lower(): kind for kind in Base.__subclasses__()}
