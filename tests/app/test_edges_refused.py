"""What cannot be trained is refused before Ray starts, and what goes wrong late ends the job with its place."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Dict, NamedTuple, Tuple

import pytest

from tests.app.edge_jobs import ANGLES, EDGES, HERE, train

# ---- refused before Ray starts


class Refused(NamedTuple):
    words: Tuple[str, ...]
    line: str
    source: Path = EDGES


CONTINUOUS = ("config={}", "config.learning_starts=100", "config.timesteps_per_iteration=200")
REFUSED: Dict[str, Refused] = {
    "actions without bounds, DDPG": Refused(
        ("unbounded-ddpg",),
        r"env = unbounded: its action_space Box\(.*\): DDPG scales its actions by their bounds, and these have none; "
        rf"PPO, .* take them: rl\.training\.run=PPO{HERE}",
    ),
    "actions without bounds, SAC": Refused(("unbounded-sac",), r"env = unbounded: .*SAC scales its actions .*"),
    "actions without bounds, TD3": Refused(
        ("unbounded-ddpg", "run=TD3", *CONTINUOUS), r"env = unbounded: .*TD3 scales its actions .*"
    ),
    "several actions, DQN": Refused(
        ("switches", "run=DQN", "config={}"), rf"env = switches: .*DQN chooses in Discrete alone; PPO, .*{HERE}"
    ),
    "a picture of another size": Refused(
        ("planes",),
        r"env = planes: .*RLlib has filters for pictures of 84 x 84 and 42 x 42 alone; for this shape give "
        rf"'config\.model\.conv_filters=\[\[16,\[3,3\],1\],\[256,\[4,5\],1\]\]', or others{HERE}",
    ),
    "filters that are too large": Refused(
        ("planes", "config.model.conv_filters=[[16,[8,8],4],[32,[4,4],2],[256,[11,11],1]]"),
        r"env = planes: .*conv_filters = .*: the last must leave 1 x 1, and has 1 x 1 before it: its kernel must be "
        rf"\[1, 1\], such as 'config\.model\.conv_filters=.*'{HERE}",
    ),
    "a picture of the size of an Atari machine's screen": Refused(
        ("screen",), r"env = screen: .*RLlib takes the shape \(210, 160, 3\) for an Atari machine's screen, .*"
    ),
    "a space that Gym does not have": Refused(
        ("foreign",), r"env = foreign: its observation_space .*Anything.* is no space of Gym; expected one of Box, .*"
    ),
    "a reset of Gym's newer interface with a step of the older": Refused(
        ("halfnew",),
        r"env = halfnew: step gave .*: expected \(observation, reward, terminated, truncated, info\), for its reset "
        rf"gives \(observation, info\){HERE}",
    ),
    "a horizon above the environment's own": Refused(
        ("angles", "config.horizon=600"),
        r"rl\.training\.config\.horizon = 600: must be at most 500, after which env = CartPole-v1 ends an episode .*",
        ANGLES,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_trained_is_refused_before_ray_starts(case: str, tmp_path: Path) -> None:
    ran = train(tmp_path, *REFUSED[case].words, source=REFUSED[case].source)
    failed = [line for line in (ran.stdout + ran.stderr).splitlines() if line.startswith(("env = ", "rl.training."))]
    assert ran.status == 2, ran
    assert failed and re.fullmatch(REFUSED[case].line, failed[-1]), failed or ran
    assert "starting Ray" not in ran.stdout


def test_the_filters_that_are_suggested_work_as_typed(tmp_path: Path) -> None:
    said = train(tmp_path, "planes", name="without").stderr + (tmp_path / "without" / "job.json").read_text()
    suggestion = said.split("give '")[1].split("'")[0]
    ran = train(tmp_path, "planes", suggestion, name="with")
    assert ran.status == 0, ran


# ---- ended at the step where it went wrong


FAILED: Dict[str, Refused] = {
    "NaN": Refused(("sometimes",), rf"env = sometimes: step gave an observation with nan at \[0\]{HERE}"),
    "infinity": Refused(
        ("sometimes", 'config.env_config={"kind":"inf"}'),
        rf"env = sometimes: step gave an observation with inf at \[0\]{HERE}",
    ),
    "NaN, by a worker": Refused(
        ("sometimes", "config.num_workers=1"), rf"env = sometimes: step gave an observation with nan at \[0\]{HERE}"
    ),
    "NaN, once, with continuous actions": Refused(
        ("poison",), rf"env = poison: step gave an observation with nan at \[0\]{HERE}"
    ),
    "a number below a Discrete's first": Refused(
        ("negatives",), rf"env = negatives: step gave an observation outside its space Discrete\(4\): -1{HERE}"
    ),
    "outside its space, where that is asked for": Refused(
        ("rarely", "strict_spaces=true"),
        rf"env = rarely: step gave an observation outside its space Box\(.*\): 7\.0 at \[0\]{HERE}",
    ),
}


@pytest.mark.parametrize("case", FAILED)
def test_what_goes_wrong_late_ends_the_job_with_its_place(case: str, tmp_path: Path) -> None:
    ran = train(tmp_path, *FAILED[case].words)
    reason = json.loads((tmp_path / "edge" / "job.json").read_text())["FailureReason"]
    assert ran.status == 2, ran
    assert re.fullmatch(FAILED[case].line, reason), reason
