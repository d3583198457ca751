"""What SageMaker finds in the line of an iteration."""

import re

from rl_app.job import learning
from rl_app.job.metric_definitions import definitions, found
from rl_app.terminal.console import iteration_line

ROW = {
    "training_iteration": 12,
    "episode_reward_mean": -154.5,
    "episode_reward_min": -209.0,
    "episode_reward_max": 200.0,
    "episodes_total": 1420,
    "timesteps_total": 2560000,
    "steps_per_s": 15100.4,
    "time_total_s": 12.7,
}


def test_every_metric_is_found_in_the_line_of_an_iteration():
    assert found(iteration_line(ROW, {"episode_reward_mean": 475})) == {**ROW, "steps_per_s": 15100.0}


def test_before_the_first_episode_has_ended_there_is_no_reward_to_find():
    nothing = dict.fromkeys(("episode_reward_mean", "episode_reward_min", "episode_reward_max"))
    line = iteration_line({**ROW, **nothing}, {})
    assert sorted(found(line)) == sorted(ROW.keys() - nothing.keys())


def test_every_metric_of_the_learning_is_found_in_its_line_and_in_no_other():
    values = {name: (-1) ** number * 1.5 * 10.0 ** (number - 12) for number, name in enumerate(learning.names())}
    line = learning.line({**ROW, **values, "custom_metrics/kl": 7.0})
    assert found(line) == {name: float(f"{value:.6g}") for name, value in values.items()}
    assert found(learning.line({**ROW, "kl": 0.25})) == {"kl": 0.25}
    assert learning.line(ROW) == ""


def test_the_definitions_keep_to_sagemakers_limits_and_hold_the_sdks_two():
    float_of_the_sdk = r"[-+]?[0-9]*[.]?[0-9]+([eE][-+]?[0-9]+)?"  # sagemaker.rl.estimator, RLToolkit.RAY
    made = definitions()
    assert {"Name": "episode_reward_mean", "Regex": f"episode_reward_mean: ({float_of_the_sdk})"} in made
    assert {"Name": "episode_reward_max", "Regex": f"episode_reward_max: ({float_of_the_sdk})"} in made
    assert len(made) <= 40
    for definition in made:
        assert len(definition["Name"]) <= 255 and len(definition["Regex"]) <= 500
        assert re.compile(definition["Regex"]).groups >= 1
