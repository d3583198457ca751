"""The server's page in a headless Chromium: it asks a policy of any space, and shows the answer as it came."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Iterator, List

import numpy as np
import pytest
from gym import spaces

from tests.app.browser import NEEDS_CHROMIUM, complaints, darken, narrow, picture, requests, share_of, show
from tests.app.made_models import BOX, THREE, logits, write_model
from tests.app.serving import Served
from tests.waiting import until

pytestmark = NEEDS_CHROMIUM
ACCENT = (0x25, 0x63, 0xC9)
EVIL = "</script><script>document.title='run'</script><img src=http://127.0.0.1:1/>"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    training = {"training_iteration": 12, "episode_reward_mean": 437.25, "timesteps_total": 76800}
    versions = {"ray": "0.8.5", "gym": "0.22.0"}
    return write_model(tmp_path_factory.mktemp("page") / "model", training=training, versions=versions)


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Served]:
    with Served(model) as served:
        yield served


class Form:
    """The page of a server, and what a person does with it."""

    def __init__(self, browser: Any, server: Served) -> None:
        self.browser, self.address = browser, f"{server.url}/"
        show(browser, self.address)

    def text(self, selector: str) -> str:
        return self.browser.find_element("css selector", selector).text

    def click(self, name: str) -> None:
        self.browser.find_element("css selector", f"#{name}").click()

    def put(self, name: str, value: str) -> None:
        field = self.browser.find_element("name", name)
        if field.tag_name != "select":
            field.clear()
        field.send_keys(value)

    def ask(self) -> None:
        """Asks, and waits for the answer."""
        self.browser.execute_script("document.getElementById('answer').replaceChildren()")
        self.click("ask")
        until(lambda: self.text("#answer"))

    def answer(self) -> Any:
        """The outputs as the server gave them."""
        (shown,) = self.browser.find_elements("css selector", "#answer details pre")
        return json.loads(shown.get_attribute("textContent"))

    def refusal(self) -> str:
        return self.text("#answer .error")

    def curl(self) -> Any:
        """What the curl line prints when a shell runs it."""
        line = self.browser.find_element("css selector", "#curl").get_attribute("textContent")
        ran = subprocess.run(["bash"], input=line.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
        assert ran.returncode == 0, (line, ran.stderr)
        return json.loads(ran.stdout)

    def is_quiet(self) -> bool:
        """Whether it complained of nothing, and asked its own server only."""
        asked = {url for url in requests(self.browser) if not url.startswith(self.address)}
        return complaints(self.browser) == [] and not asked


@pytest.fixture
def form(browser: Any, server: Served) -> Form:
    return Form(browser, server)


def test_the_card_says_what_policy_this_is(form: Form) -> None:
    assert form.text("h1") == form.browser.title == "PPO on Made-v0"
    tiles = form.text(".tiles").splitlines()
    assert tiles[tiles.index("reward in training") + 1] == "437.25"
    assert tiles[tiles.index("iteration") + 1] == "12"
    assert tiles[tiles.index("env steps") + 1] == "76,800"
    card = form.text('[aria-labelledby="policy"]')
    assert "Observation\n4 numbers (float32), -10 to 10" in card
    assert "Action\none of 3: 0 to 2" in card
    assert "engine\nonnxruntime" in card
    assert "ray\n0.8.5\ngym\n0.22.0" in card
    assert form.is_quiet()


def test_it_asks_and_shows_the_action_its_probability_and_how_long_it_took(form: Form, model: Path) -> None:
    for i, value in enumerate(("0.5", "-2", "3.25", "1")):
        form.put(f"observation[{i}]", value)
    form.ask()
    expected = logits(model, np.array([[0.5, -2, 3.25, 1]]))[0]
    assert form.text(".action") == str(expected.argmax())
    assert re.fullmatch(r"answered in \d+\.\d ms, measured in this browser", form.text(".latency"))
    shares = np.exp(expected) / np.exp(expected).sum()
    rows = form.browser.find_elements("css selector", ".bars tbody tr")
    assert [" ".join(row.text.split("\n")) for row in rows] == [
        f"{i} {100 * share:.1f} %" for i, share in enumerate(shares)
    ]
    assert [row.get_attribute("class") for row in rows].index("chosen") == expected.argmax()
    widths = [row.find_element("css selector", ".bar").size["width"] for row in rows]
    assert np.argsort(widths).tolist() == np.argsort(shares).tolist()
    assert form.curl()["outputs"] == form.answer()
    assert form.is_quiet()


def test_enter_asks_too(form: Form) -> None:
    form.put("observation[0]", "1\n")
    until(lambda: form.text(".action"))
    assert form.is_quiet()


def test_every_field_has_a_name_and_the_keyboard_comes_by_all_of_them(form: Form) -> None:
    labels = form.browser.execute_script(
        "return [...document.querySelectorAll('#form input, #form select')].map((each) => each.labels[0].innerText)"
    )
    assert [label.split("\n")[0].strip() for label in labels[:4]] == [f"[{i}] -10 … 10" for i in range(4)]
    assert all(labels)
    from selenium.webdriver import ActionChains, Keys

    seen = []
    for _ in range(13):
        ActionChains(form.browser).send_keys(Keys.TAB).perform()
        seen.append(form.browser.execute_script("return document.activeElement.name || document.activeElement.id"))
    assert [f"observation[{i}]" for i in range(4)] + ["zeros", "random", "sample", "ask", "curl", "copy"] == seen[:10]


def test_an_error_of_the_servers_is_shown_as_it_says(form: Form, server: Served) -> None:
    form.put("observation[2]", "1e39")
    form.ask()
    said = server.post({"observations": [[0, 0, 1e39, 0]]}).json["error"]
    assert form.refusal().splitlines() == ["Refused with 400", said]
    form.put("observation[2]", "")
    form.ask()
    assert "got null" in form.refusal()
    form.put("observation[2]", ".5")
    form.ask()
    assert form.text(".action")
    allowed = "Failed to load resource: the server responded with a status of 400"
    assert all(allowed in complaint for complaint in complaints(form.browser))


def test_a_server_that_is_gone_is_told(browser: Any, model: Path) -> None:
    with Served(model) as server:
        form = Form(browser, server)
        server.stop()
        form.ask()
    assert form.refusal().startswith("No answer\nthe server cannot be reached")


def test_sampling_is_asked_for(form: Form) -> None:
    form.click("sample")
    assert '"deterministic": false' in form.text("#curl")
    drawn = set()
    for _ in range(40):
        form.ask()
        drawn.add(form.text(".action"))
    assert len(drawn) == 3, "of zeros every action is as likely"


def test_where_it_cannot_sample_it_says_why(browser: Any, tmp_path: Path) -> None:
    outputs = ["actions_0", "action_dist_inputs", "vf_preds", "action_logp", "action_prob", "q_values"]
    with Served(write_model(tmp_path / "model", algorithm="DQN", outputs=outputs)) as server:
        form = Form(browser, server)
        assert not browser.find_element("css selector", "#sample").is_enabled()
        assert form.text("#unsampled") == "DQN has no distribution to sample an action from"
        form.ask()
        assert not browser.find_elements("css selector", ".bars")


def test_random_observations_are_of_the_space(form: Form, server: Served) -> None:
    seen: List[List[float]] = []
    for _ in range(20):
        form.click("random")
        seen.append(sent(form)["observations"][0])
    assert np.unique(seen, axis=0).shape == (20, 4)
    assert np.all(np.abs(seen) <= 10) and np.abs(seen).max() > 5
    form.click("zeros")
    assert sent(form) == {"observations": [[0, 0, 0, 0]]}


def sent(form: Form) -> Any:
    """The body of the curl line."""
    return json.loads(form.text("#curl").partition(" -d '")[2][:-1])


@pytest.mark.parametrize("secure", [True, False])
def test_the_curl_line_is_copied(secure: bool, form: Form) -> None:
    rights = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    form.browser.execute_cdp_cmd("Browser.grantPermissions", rights)
    form.browser.execute_async_script("navigator.clipboard.writeText('').then(arguments[0])")
    if not secure:  # as a page is that another machine serves without https
        form.browser.execute_script("Object.defineProperty(navigator.clipboard, 'writeText', { value: undefined })")
    form.click("copy")
    until(lambda: form.text("#copied") == "Copied.")
    copied = form.browser.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    assert copied == form.text("#curl")


# ---- spaces


def test_discrete_is_chosen_from_a_list(browser: Any, tmp_path: Path) -> None:
    with Served(write_model(tmp_path / "model", spaces.Discrete(4), spaces.Discrete(2))) as server:
        form = Form(browser, server)
        form.put("observation", "3")
        form.ask()
        assert sent(form) == {"observations": [3]}
        assert form.answer() == server.post({"observations": [3]}).json["outputs"] == form.curl()["outputs"]
        assert form.is_quiet()


def test_dict_and_tuple_have_their_parts_and_keys_that_a_shell_could_stumble_on(browser: Any, tmp_path: Path) -> None:
    inner = spaces.Tuple([spaces.MultiDiscrete([3, 5]), spaces.MultiBinary(2), BOX])
    space = spaces.Dict({'it\'s "$x"': spaces.Discrete(4), "inner": inner, "<i>": spaces.Box(0, 9, (), np.int32)})
    actions = spaces.Tuple([spaces.Discrete(3), spaces.Box(-1, 1, (2,), np.float32)])
    with Served(write_model(tmp_path / "model", space, actions)) as server:
        form = Form(browser, server)
        for name, value in [
            ('observation.it\'s "$x"', "2"),
            ("observation.inner.0[1]", "4"),
            ("observation.inner.1[0]", "1"),
            ("observation.inner.2[3]", "-1.5"),
            ("observation.<i>[0]", "7"),
        ]:
            browser.execute_script("document.getElementsByName(arguments[0])[0].value = ''", name)
            (field,) = browser.execute_script("return [...document.getElementsByName(arguments[0])]", name)
            field.send_keys(value)
        form.ask()
        observation = {'it\'s "$x"': 2, "inner": [[0, 4], [1, 0], [0, 0, 0, -1.5]], "<i>": 7}
        outputs = server.post({"observations": [observation]}).json["outputs"]
        assert form.answer() == outputs == form.curl()["outputs"]
        assert form.text(".action").startswith(f"{outputs['actions_0'][0]} · [")
        legends = [each.text for each in browser.find_elements("css selector", "legend")]
        assert [*space.spaces, "0", "1", "2"] == sorted(filter(None, legends), key=[*space.spaces, "0", "1", "2"].index)
        form.click("random")
        form.ask()
        assert form.text(".action")
        assert form.is_quiet()


def test_multidiscrete_has_bounds_for_each_number_and_its_actions_are_shown_each(browser: Any, tmp_path: Path) -> None:
    with Served(write_model(tmp_path / "model", spaces.MultiDiscrete([3, 5]), spaces.MultiDiscrete([2, 40]))) as server:
        form = Form(browser, server)
        labels = [each.text.splitlines()[0] for each in browser.find_elements("css selector", ".fields label")]
        assert labels == ["[0] 0 … 2", "[1] 0 … 4"]
        form.put("observation[1]", "4")
        form.ask()
        outputs = server.post({"observations": [[0, 4]]}).json["outputs"]
        assert form.text(".action") == f"[{outputs['actions_0'][0][0]}, {outputs['actions_0'][0][1]}]"
        captions = [each.text for each in browser.find_elements("css selector", "caption")]
        assert captions == ["probability of each action [0]", "probability of each action [1], the 12 largest of 40"]
        chosen = [each.text.split()[0] for each in browser.find_elements("css selector", ".chosen")]
        assert chosen == [str(each) for each in outputs["actions_0"][0]]
        form.put("observation[1]", "5")
        form.ask()
        assert "expected integers from 0 to [2, 4]" in form.refusal()


def test_a_large_box_is_written_as_json_however_long(browser: Any, tmp_path: Path) -> None:
    with Served(write_model(tmp_path / "model", spaces.Box(0, 255, (120, 120, 3), np.uint8))) as server:
        form = Form(browser, server)
        assert form.text(".field") == "JSON of the shape [120, 120, 3]"
        form.click("random")
        form.ask()
        value = json.loads(browser.find_element("name", "observation").get_attribute("value"))
        assert np.shape(value) == (120, 120, 3)
        assert form.curl()["outputs"] == form.answer()
        form.put("observation", "[[1, 2")
        form.ask()
        assert "malformed JSON" in form.refusal()


def test_memory_goes_with_the_next_question_until_a_new_episode(browser: Any, tmp_path: Path) -> None:
    with Served(write_model(tmp_path / "model", memory=3)) as server:
        form = Form(browser, server)
        assert "begins an episode" in form.text("#remembered")
        states = []
        for _ in range(3):
            form.ask()
            states.append(form.answer()["state_out_0"])
        assert states == [[[1.0] * 3], [[1.5] * 3], [[1.75] * 3]]
        assert "remembers 3 steps" in form.text("#remembered")
        assert sent(form)["state_in_0"] == [[1.5] * 3], "the curl line is that of the question that was answered"
        assert form.curl()["outputs"] == form.answer()
        form.click("reset")
        assert "state_in_0" not in form.text("#curl")
        form.ask()
        assert form.answer()["state_out_0"] == [[1.0] * 3]
        assert form.is_quiet()


def test_the_step_before_is_asked_for_where_the_network_looks_back(browser: Any, tmp_path: Path) -> None:
    with Served(write_model(tmp_path / "model", looks_back=True)) as server:
        form = Form(browser, server)
        form.put("prev_action[0]", "2")
        form.put("prev_reward[0]", "0.5")
        form.ask()
        assert sent(form) == {"observations": [[0] * 4], "prev_action": [2], "prev_reward": [0.5]}
        assert form.answer() == server.post(sent(form)).json["outputs"]
        assert form.answer() != server.post({"observations": [[0] * 4]}).json["outputs"]
        assert form.is_quiet()


# ---- how it looks


@pytest.mark.parametrize("dark", [False, True])
def test_it_is_light_or_dark_as_is_wished_and_not_blank(dark: bool, form: Form) -> None:
    if dark:
        darken(form.browser)
    form.click("random")
    form.ask()
    pixels = picture(form.browser, "main")
    assert (pixels.mean() < 70) if dark else (pixels.mean() > 200)
    assert share_of(picture(form.browser, "#ask"), ACCENT) > 0.5
    assert 0.01 < share_of(picture(form.browser, "#curl"), (0xE6, 0xE9, 0xEF) if dark else (0x1C, 0x23, 0x30)) < 0.5


def test_it_fits_a_phone(browser: Any, tmp_path: Path) -> None:
    actions = spaces.Box(-1, 1, (40,), np.float32)
    with Served(write_model(tmp_path / "model", spaces.Dict({"a" * 60: BOX, "b": THREE}), actions)) as server:
        form = Form(browser, server)
        narrow(browser)
        form.click("random")
        form.ask()
        until(lambda: browser.execute_script("return document.documentElement.scrollWidth <= 360"))
        assert browser.execute_script("return document.querySelector('#ask').getBoundingClientRect().width") > 100


def test_what_a_model_says_is_no_code(browser: Any, tmp_path: Path) -> None:
    space = spaces.Dict({EVIL: BOX})
    facts = {"env": EVIL, "algorithm": EVIL, "versions": {EVIL: EVIL}, "training": {"experiment": EVIL}}
    with Served(write_model(tmp_path / "model", space, **facts)) as server:
        form = Form(browser, server)
        form.ask()
        assert form.text(".action")
        assert form.text("h1") == browser.title == f"{EVIL} on {EVIL}"
        assert form.is_quiet()


def test_the_page_may_ask_its_own_server_and_nobody_else(form: Form, server: Served) -> None:
    policy = server.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    form.browser.set_script_timeout(10)
    blocked = form.browser.execute_async_script(
        "const done = arguments[0]; fetch('http://127.0.0.1:1/').then(() => done('sent'), (error) => done(error.name));"
    )
    assert blocked == "TypeError"
    assert any("Content Security Policy" in complaint for complaint in complaints(form.browser))
