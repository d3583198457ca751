"""The report's page: what it says of a job in each state, what a user wrote is text in it, and how it is kept live."""

from __future__ import annotations

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from rl_app.job.hyperparameters import parse
from rl_app.machine import Machine
from rl_app.policy.videos import Video, file_name
from rl_app.reports import curves, live, training
from rl_app.reports import facts as known_facts
from rl_app.reports.figures import MOST_VIDEO_BYTES, chosen_videos
from rl_app.reports.time_spent import time_spent
from rl_app.reports.training import DONE, FAILED, RUNNING, STOPPED, Outcome
from rl_app.storage import layout

STARTED = 1_700_000_000.0


def row(iteration: int, reward: Any = 20.0, **changes: Any) -> Dict[str, Any]:
    spread = None if reward is None else 5.0
    return {
        "training_iteration": iteration,
        "episode_reward_mean": reward,
        "episode_reward_min": None if reward is None else reward - 10,
        "episode_reward_max": None if reward is None else reward + 10,
        "episode_reward_std": spread,
        "episodes_total": 3 * iteration,
        "timesteps_this_iter": 1000,
        "timesteps_total": 1000 * iteration,
        "optimizer_steps_this_iter": 2,
        "time_this_iter_s": 2.0,
        "time_total_s": 2.0 * iteration,
        "timestamp": int(STARTED) + 10 + 3 * iteration,
        "steps_per_s": 500.0,
        "sample_time_ms": 300.0,
        "grad_time_ms": 500.0,
        **changes,
    }


def facts(**changes: Any) -> Dict[str, Any]:
    return {
        "job": "a-job",
        "experiment": "cartpole",
        "algorithm": "PPO",
        "env": "CartPole-v1",
        "stop": {"episode_reward_mean": 475, "timesteps_total": 500_000},
        "settings": [["config.lr", 0.001, 5e-5]],
        "seed": 7,
        "versions": {"ray": "0.8.5"},
        "machine": {"CPUs": 2, "GPUs": 0},
        "host": "algo-1",
        "started": STARTED,
        **changes,
    }


def text(page: str) -> str:
    """What a person reads: the page without style, scripts and tags."""
    shown = re.sub(r"<(style|script|title)[ >].*?</\1>", "", page, flags=re.DOTALL).replace("<wbr>", "")
    return " ".join(re.sub(r"<[^>]*>", " ", shown).split())


def data(page: str) -> Dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found.group(1), parse_constant=pytest.fail)


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: List[str] = []
        self.addresses: List[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action", "data")]


def test_it_says_what_was_trained_how_and_where() -> None:
    shown = text(training.render(facts(), [row(1), row(2, 30.0), row(3, 25.0)], []))
    for part in ("cartpole", "PPO on CartPole-v1", "a-job", "config.lr 0.001 5e-05", "seed 7", "ray 0.8.5"):
        assert part in shown
    assert "mean reward 25 ± 5 · goal 475" in shown
    assert "best 30 iteration 2" in shown
    assert "env steps 3,000 500 a second" in shown
    assert "episode_reward_mean 475 25" in shown


@pytest.mark.parametrize(
    ("outcome", "stop", "state", "words"),
    [
        (Outcome(RUNNING), {"episode_reward_mean": 475}, "training", "Training"),
        (Outcome(DONE), {"episode_reward_mean": 400}, "solved", "Solved: mean reward 450.00"),
        (
            Outcome(DONE),
            {"episode_reward_mean": 475, "timesteps_total": 2000},
            "capped",
            "Not solved, ended at timesteps_total 2,000",
        ),
        (Outcome(DONE), {"training_iteration": 2}, "capped", "Ended at training_iteration 2"),
        (Outcome(STOPPED), {"episode_reward_mean": 475}, "stopped", "Stopped before the end"),
        (Outcome(FAILED, "env = X: step raised"), {}, "failed", "Failed: env = X: step raised"),
    ],
)
def test_the_headline_is_the_state(outcome: Outcome, stop: Dict[str, float], state: str, words: str) -> None:
    page = training.render(facts(stop=stop), [row(1), row(2, 450.0)], [], outcome)
    assert f'<p class="state {state}"><strong>{words}</strong>' in page
    assert data(page)["live"] is (outcome.state == RUNNING)


def test_before_the_first_iteration_it_says_so() -> None:
    shown = text(training.render(facts(), [], []))
    assert "Starting" in shown
    assert "No iteration has ended yet." in shown


def test_before_the_first_episode_there_is_a_throughput_and_no_reward() -> None:
    page = training.render(facts(), [row(1, None)], [])
    assert "No episode has ended yet." in text(page)
    assert 'data-chart="throughput"' in page
    assert 'data-chart="reward"' not in page
    assert data(page)["points"]["mean"] == [None]


EVIL = '</script><script>alert(1)</script><img src=x onerror="alert(2)">&amp;\'"'


def test_what_a_user_wrote_is_text() -> None:
    known = facts(
        job=EVIL,
        experiment=EVIL,
        algorithm=EVIL,
        env=EVIL,
        host=EVIL,
        stop={EVIL: 1},
        settings=[[EVIL, EVIL, EVIL], ["config.env_config", {EVIL: EVIL}, {}]],
        versions={EVIL: EVIL},
    )
    harmless = Tags(training.render(facts(settings=[["a", 1, 2], ["b", 1, 2]], stop={"a": 1}), [row(1)], []))
    evil = Tags(training.render(known, [row(1)], [], Outcome(FAILED, EVIL)))
    assert [tag for tag in evil.seen if tag != "wbr"] == [tag for tag in harmless.seen if tag != "wbr"]


def test_it_needs_no_network_and_forbids_itself_any(tmp_path: Path) -> None:
    page = training.render(facts(), [row(1)], videos(tmp_path, [1.0]))
    assert all(address.startswith("data:") for address in Tags(page).addresses)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    assert policy.group(1).startswith("default-src 'none';")
    assert "unsafe" not in policy.group(1)


def test_ten_thousand_rows_are_thinned_and_keep_their_spread() -> None:
    rows = [row(i, float(i % 7)) for i in range(1, 10_001)]
    rows[4321]["episode_reward_max"] = 9999.0
    points = curves.thinned(rows, 500)
    assert {len(column) for column in points.values()} == {500}
    assert points["iteration"][-1] == 10_000
    assert max(high for high in points["high"] if high is not None) == 9999.0
    assert min(low for low in points["low"] if low is not None) == -10.0
    assert len(training.render(facts(), rows, [])) < 150_000


def test_what_was_learnt_has_a_small_chart_each_of_what_is_there() -> None:
    learnt = {"entropy": 0.5, "cur_lr": 5e-5, "custom_metrics/angle_mean": 0.25}
    evaluated = {"evaluation_reward_mean": 9.0, "evaluation_reward_min": 8.0, "evaluation_reward_max": 10.0}
    page = training.render(facts(), [row(1), row(2, **learnt), row(3, **learnt, **evaluated)], [])
    assert re.findall(r'data-chart="([^"]*)"', page) == [
        *("reward", "evaluation_reward_mean", "entropy", "cur_lr", "custom_metrics/angle_mean", "throughput"),
    ]
    for title in ("reward in evaluations", "entropy", "learning rate", "angle mean"):
        assert f">{title}</figcaption>" in page
    assert data(page)["more"] == {
        "evaluation_reward_mean": [None, None, 9.0],
        "evaluation_reward_min": [None, None, 8.0],
        "evaluation_reward_max": [None, None, 10.0],
        "entropy": [None, 0.5, 0.5],
        "cur_lr": [None, 5e-5, 5e-5],
        "custom_metrics/angle_mean": [None, 0.25, 0.25],
    }


def test_few_rows_are_all_shown_and_a_gap_stays_a_gap() -> None:
    points = curves.thinned([row(1, None), row(2, 8.0)], 500)
    assert points["mean"] == [None, 8.0]
    assert points["low"] == [None, -2.0]
    assert points["steps"] == [1000, 2000]
    assert points["throughput"] == [500.0, 500.0]


def test_the_time_is_accounted_for_to_the_last_second() -> None:
    # Started at 0, the first iteration from 11 to 13, two more by 19, and 5 s of export
    spent = time_spent(STARTED, [row(1), row(2), row(3)], STARTED + 24)
    assert spent == {
        "starting": 11.0,
        "sampling": pytest.approx(1.8),
        "learning": pytest.approx(3.0),
        "rest of the iterations": pytest.approx(1.2),
        "between iterations": 2.0,
        "export and last video": 5.0,
    }


def test_the_time_of_the_run_before_is_not_of_this_one() -> None:
    before = [row(1, timestamp=int(STARTED) - 500), row(2, timestamp=int(STARTED) - 400)]
    resumed = time_spent(STARTED, [*before, row(3)], None)
    assert resumed["starting"] == 17.0
    assert sum(resumed.values()) == pytest.approx(19.0)


def test_an_algorithm_without_timers_has_iterations_only() -> None:
    bare = row(1, optimizer_steps_this_iter=None, sample_time_ms=None)
    assert time_spent(STARTED, [bare], None) == {"starting": 11.0, "iterations": 2.0}


def test_settings_that_differ_are_named_by_their_path() -> None:
    config = {"lr": 0.1, "gamma": 0.99, "model": {"fcnet_hiddens": [8], "use_lstm": False}, "new": {"a": 1}}
    defaults = {"lr": 0.2, "gamma": 0.99, "model": {"fcnet_hiddens": [256, 256], "use_lstm": False}}
    assert known_facts.differences(config, defaults) == [
        ("config.lr", 0.1, 0.2),
        ("config.model.fcnet_hiddens", [8], [256, 256]),
        ("config.new.a", 1, None),
    ]


def test_facts_of_a_real_job_are_json_and_make_a_page() -> None:
    job = parse({"experiment": "cartpole", "seed": "3", "rl.training.config.gamma": "0.5"}, Machine(2, 0))
    known = json.loads(json.dumps(known_facts.facts(job, Machine(2, 0), "mine")))
    assert ["config.gamma", 0.5, 0.99] in known["settings"]
    assert (known["job"], known["seed"], known["machine"]["CPUs"]) == ("mine", 3, 2)
    assert "config.gamma 0.5 0.99" in text(training.render(known, [], []))


class Callbacks:
    """As of a user's experiment."""


def test_settings_that_json_does_not_know_are_shown_by_their_repr() -> None:
    job = parse({"experiment": "cartpole"}, Machine(2, 0))
    job.trial["config"].update(callbacks=Callbacks, lr=np.float32(0.5), env_config={"levels": {1, 2}})
    known = json.loads(json.dumps(known_facts.facts(job, Machine(2, 0), "mine")))
    shown = {path: value for path, value, _ in known["settings"]}
    assert shown["config.callbacks"] == repr(Callbacks)
    assert (shown["config.lr"], shown["config.env_config.levels"]) == (0.5, "{1, 2}")
    assert "test_training_report.Callbacks" in training.render(known, [], [])


# ---- videos


def videos(directory: Path, rewards: List[Any], size: int = 10) -> List[Video]:
    made = []
    for i, reward in enumerate(rewards, 1):
        file = directory / file_name(10 * i, reward)
        file.write_bytes(b"v" * size)
        made.append(Video(10 * i, reward, file))
    return made


def chosen(made: List[Video], sizes: List[int], **limits: int) -> List[int]:
    return [video.iteration for video in chosen_videos(list(zip(made, sizes)), **limits)]


def test_the_best_the_latest_and_a_spread_of_the_others_are_in_it(tmp_path: Path) -> None:
    made = videos(tmp_path, [1.0] * 16 + [9.0] + [1.0] * 83)
    iterations = chosen(made, [10] * 100, most=8)
    assert len(iterations) == 8
    assert iterations == sorted(iterations)
    assert {10, 170, 1000} <= set(iterations)
    assert max(later - earlier for earlier, later in zip(iterations, iterations[1:])) <= 260


def test_few_videos_are_all_in_it(tmp_path: Path) -> None:
    for count in range(1, 13):
        made = videos(tmp_path, [None, *range(1, count)])
        assert chosen(made, [10] * count) == [video.iteration for video in made]


def test_videos_beyond_the_size_are_left_out_and_counted(tmp_path: Path) -> None:
    assert chosen(videos(tmp_path, [1.0, 5.0, 2.0, 3.0]), [10, 10, 10, 10], most_bytes=25) == [20, 40]
    huge = videos(tmp_path, [1.0, 5.0, 2.0], size=MOST_VIDEO_BYTES // 2)
    page = training.render(facts(), [row(1)], huge)
    assert page.count("<video") == 2
    assert "1 of 3 are not in this file but beside it, in videos/." in text(page)


def test_each_video_says_iteration_and_reward(tmp_path: Path) -> None:
    shown = text(training.render(facts(), [row(1)], videos(tmp_path, [None, 475.304, -3.5])))
    assert "iteration 10 · no episode had ended" in shown
    assert "iteration 20 · mean reward 475.30 · best" in shown
    assert "iteration 30 · mean reward -3.50 · latest" in shown


# ---- kept live


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / layout.FACTS).write_text(json.dumps(facts()))
    return tmp_path


def add(directory: Path, iteration: int) -> None:
    with (directory / "metrics.jsonl").open("a") as stream:
        stream.write(json.dumps(row(iteration)) + "\n")


def test_it_is_written_when_something_is_new_and_at_most_every_two_seconds(directory: Path) -> None:
    clock = Clock()
    page = live.Live(directory, clock)
    assert page.refresh()
    clock.now = 10.0
    assert not page.refresh(), "nothing is new"
    add(directory, 1)
    assert page.refresh()
    add(directory, 2)
    clock.now = 11.9
    assert not page.refresh(), "too soon"
    clock.now = 12.1
    assert page.refresh()
    assert "iterations 2" in text((directory / layout.REPORT).read_text())


def test_a_page_full_of_videos_is_written_less_often(directory: Path) -> None:
    (directory / live.VIDEOS).mkdir()
    videos(directory / live.VIDEOS, [1.0], size=3 * live.BYTES_PER_S)
    clock = Clock()
    page = live.Live(directory, clock)
    assert page.refresh()
    add(directory, 1)
    clock.now = 3.9
    assert not page.refresh()
    clock.now = 4.2
    assert page.refresh()


def test_it_is_never_there_in_part(directory: Path) -> None:
    add(directory, 1)
    live.write(directory, Outcome(RUNNING))
    first = (directory / layout.REPORT).stat().st_ino
    size = live.write(directory, Outcome(DONE, ended=STARTED + 30))
    assert (directory / layout.REPORT).stat().st_ino != first
    assert (directory / layout.REPORT).stat().st_size == size
    assert not [name for name in os.listdir(directory) if name.startswith(".tmp")]
