"""The report in a headless Chromium: it draws, its videos play, it complains of nothing and asks no one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from rl_app.policy.videos import encode, file_name, found
from rl_app.reports.live import VIDEOS, write
from rl_app.reports.training import DONE, RUNNING, Outcome, render
from rl_app.storage import layout
from tests.app.browser import NEEDS_CHROMIUM, complaints, darken, narrow, picture, requests, share_of, show
from tests.unit.test_training_report import EVIL, STARTED, facts, row
from tests.waiting import until

pytestmark = NEEDS_CHROMIUM


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Of a job with twenty iterations, in the first of which no episode ended, and three videos."""
    (tmp_path / layout.FACTS).write_text(json.dumps(facts()))
    rewards = [None, *(25.0 * i for i in range(2, 21))]
    lines = [json.dumps(row(i, reward)) for i, reward in enumerate(rewards, 1)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / VIDEOS).mkdir()
    for iteration in (1, 10, 20):
        pictures = (np.full((40, 60, 3), 8 * i, np.uint8) for i in range(25))
        encode(pictures, 25.0, tmp_path / VIDEOS / file_name(iteration, rewards[iteration - 1]))
    return tmp_path


def open_page(browser: Any, directory: Path, outcome: Outcome) -> None:
    write(directory, outcome)
    show(browser, (directory / layout.REPORT).as_uri())


def test_the_curves_are_drawn_with_nothing_to_complain_of_and_no_request(browser: Any, directory: Path) -> None:
    open_page(browser, directory, Outcome(DONE, ended=STARTED + 80))
    pixels = picture(browser, '[data-chart="reward"]')
    for colour, least in [((0x25, 0x63, 0xC9), 0.002), ((0x14, 0x80, 0x4A), 0.0001), ((255, 255, 255), 0.3)]:
        assert share_of(pixels, colour) > least, f"{colour} is not to be seen"
    (points,) = browser.execute_script(
        "return [...document.querySelectorAll('[data-chart=reward] .curve')]"
        ".map((line) => line.getAttribute('points').split(' ').length)"
    )
    assert points == 19, "all rows but the one without an episode"
    assert complaints(browser) == []
    assert requests(browser) == [(directory / layout.REPORT).as_uri()]


def test_small_charts_are_drawn_and_join_what_is_seldom_measured(browser: Any, directory: Path) -> None:
    rows = [row(i, 25.0 * i, entropy=0.7 / i, cur_lr=5e-5) for i in range(1, 21)]
    for each in rows[4::5]:
        reward = each["episode_reward_mean"]
        each.update(evaluation_reward_mean=reward, evaluation_reward_min=reward - 5, evaluation_reward_max=reward + 5)
    (directory / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    open_page(browser, directory, Outcome(DONE, ended=STARTED + 80))
    drawn = browser.execute_script(
        "return [...document.querySelectorAll('.chart.small')].map((chart) => "
        "[chart.dataset.chart, chart.querySelector('.curve').getAttribute('points').split(' ').length, "
        "chart.querySelectorAll('.range').length])"
    )
    assert drawn == [["evaluation_reward_mean", 4, 1], ["entropy", 20, 0], ["cur_lr", 20, 0]]
    assert "5e-5" in browser.find_element("css selector", '[data-chart="cur_lr"] svg').text
    narrow(browser)
    until(lambda: browser.execute_script("return document.documentElement.scrollWidth <= 360"))
    assert complaints(browser) == []


def test_each_video_plays_and_its_duration_is_known(browser: Any, directory: Path) -> None:
    open_page(browser, directory, Outcome(DONE, ended=STARTED + 80))
    played: List[Dict[str, float]] = browser.execute_async_script(
        """
        const done = arguments[0];
        Promise.all([...document.querySelectorAll("video")].map(async (video) => {
          await video.play();
          await new Promise((seen) => { video.ontimeupdate = () => video.currentTime > 0.1 && seen(); });
          return { duration: video.duration, width: video.videoWidth };
        })).then(done, (error) => done(String(error)));
        """
    )
    assert played == [{"duration": pytest.approx(1.0, abs=0.05), "width": 60}] * 3
    assert complaints(browser) == []


def test_the_curve_tells_its_numbers_and_changes_its_axis(browser: Any, directory: Path) -> None:
    from selenium.webdriver import ActionChains

    open_page(browser, directory, Outcome(DONE, ended=STARTED + 80))
    chart = browser.find_element("css selector", '[data-chart="reward"] svg')
    ActionChains(browser).move_to_element_with_offset(chart, chart.size["width"] // 2 - 15, 0).perform()
    tooltip = browser.find_element("css selector", '[data-chart="reward"] .tooltip').text
    assert tooltip.splitlines() == ["reward 500 ± 5", "490 to 510", "iteration 20", "20,000 steps, 0:40"]
    assert "over env steps" in chart.find_element("xpath", "..").text
    browser.find_element("css selector", 'button[value="time"]').click()
    until(lambda: "over time" in browser.find_element("css selector", '[data-chart="reward"]').text)
    labels = browser.find_element("css selector", '[data-chart="reward"] svg').text.split()
    assert "0:30" in labels
    assert complaints(browser) == []


def test_it_fits_a_phone_and_is_dark_where_that_is_wished(browser: Any, directory: Path) -> None:
    open_page(browser, directory, Outcome(DONE, ended=STARTED + 80))
    narrow(browser)
    until(lambda: browser.execute_script("return document.documentElement.scrollWidth <= 360"))
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    light = picture(browser, "section").mean()
    darken(browser)
    dark = picture(browser, "section").mean()
    assert light > 200
    assert dark < 70


def test_of_a_running_job_it_follows_the_file(browser: Any, directory: Path) -> None:
    open_page(browser, directory, Outcome(RUNNING))
    assert "Training" in browser.find_element("css selector", ".state").text
    write(directory, Outcome(DONE, ended=STARTED + 80))
    until(lambda: "Solved" in browser.find_element("css selector", ".state").text)
    assert complaints(browser) == []


@pytest.mark.parametrize("count", [0, 1, 10_000])
def test_any_number_of_rows_is_drawn(browser: Any, directory: Path, count: int) -> None:
    rows = [row(i, float(i % 50)) for i in range(1, count + 1)]
    page = render(facts(), rows, found(directory / VIDEOS), Outcome(DONE, ended=STARTED + 80))
    (directory / layout.REPORT).write_text(page)
    show(browser, (directory / layout.REPORT).as_uri())
    drawn = browser.find_elements("css selector", ".chart .curve, .chart circle.dot[cx]")
    assert len(drawn) == (2 if count else 0)
    assert complaints(browser) == []


def test_a_script_of_a_user_is_not_run(browser: Any, directory: Path) -> None:
    known = facts(experiment=EVIL, env=EVIL, settings=[[EVIL, EVIL, EVIL]])
    (directory / layout.REPORT).write_text(render(known, [row(1)], [], Outcome(DONE, ended=STARTED)))
    show(browser, (directory / layout.REPORT).as_uri())
    assert browser.find_element("css selector", "h1").text == EVIL
    assert complaints(browser) == []
