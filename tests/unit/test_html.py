"""The templates of the pages: every value is escaped, nothing is forgotten in silence, and `serve` needs none of it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from jinja2 import UndefinedError

from rl_app.reports import html
from tests.unit.test_repository import ROOT


def test_a_template_escapes_every_value() -> None:
    made = html.environment().from_string('<p title="{{ value }}">{{ value }}</p>')
    assert made.render(value="<b>\"'&") == '<p title="&lt;b&gt;&#34;&#39;&amp;">&lt;b&gt;&#34;&#39;&amp;</p>'


def test_a_name_is_broken_between_its_words_and_still_text() -> None:
    assert html.breakable("config.a_b<i>") == "config.<wbr>a_<wbr>b&lt;i&gt;"


def test_a_value_that_is_not_given_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        html.environment().from_string("{{ forgotten }}").render()


def test_data_cannot_end_its_script() -> None:
    assert html.embedded({"a": "</script>"}) == '{"a":"\\u003c/script>"}'


def test_the_server_starts_without_templates() -> None:
    program = "import sys, rl_app.serve, rl_app.serving.page; print({'jinja2', 'markupsafe'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "set()\n")
