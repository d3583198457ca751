"""Completion as bash does it: a real shell on a real terminal, to which a person types TAB."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from pathlib import Path
from typing import Dict, Iterator

import pytest

from rl_app.storage.directory import DirectoryStore
from scripts.lib import environments
from tests.made_jobs import ROOT, make

SHOW = """bind -x '"\\C-t": printf "\\n<%s>\\n" "$READLINE_LINE"'"""
"""Ctrl-T shows the line that is being typed, between angle brackets."""


class Bash:
    """A shell on a terminal, with the completion of the scripts."""

    def __init__(self, cwd: Path, environ: Dict[str, str]) -> None:
        self.terminal, theirs = pty.openpty()
        settings = {**os.environ, "S3_PORT": "1", "PS1": "ready> ", "TERM": "dumb", **environ}
        words = ["bash", "--norc", "--noprofile", "-i"]
        self.process = subprocess.Popen(
            words, cwd=cwd, env=settings, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        for line in ("bind 'set enable-bracketed-paste off'", SHOW, 'eval "$(scripts/completion)"', "echo s'e't"):
            os.write(self.terminal, f"{line}\n".encode())
        self.read_until(r"\nset\n")

    def tab(self, line: str) -> str:
        """The line as a TAB leaves it."""
        os.write(self.terminal, f"{line}\t\x14".encode())
        completed = self.read_until(r"\n<(.*)>\n")
        os.write(self.terminal, b"\x15")  # away with it
        return completed

    def read_until(self, pattern: str) -> str:
        """Reads the screen until the pattern is on it; returns the last group of it."""
        sent, deadline = b"", time.monotonic() + 60
        while time.monotonic() < deadline:
            if select.select([self.terminal], [], [], 1)[0]:
                sent += os.read(self.terminal, 10000)
            screen = sent.decode(errors="replace").replace("\r", "")
            found = re.search(pattern, screen)
            if found:
                return found[found.re.groups]
        raise AssertionError(f"{pattern!r} did not come after {sent!r}")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)


@pytest.fixture(scope="module")
def bash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bash]:
    folder = tmp_path_factory.mktemp("jobs")
    for name in ("first-job", "second-job"):
        make(DirectoryStore(folder), name)
    opened = Bash(ROOT, {"STORE": str(folder)})
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("scripts/tra", "scripts/train "),
        ("scripts/train cartpole-d", "scripts/train cartpole-dqn "),
        ("scripts/train --eng", "scripts/train --engine "),
        ("scripts/train --engine p", "scripts/train --engine process "),
        ("scripts/train config.train_b", "scripts/train config.train_batch_size="),
        ("scripts/train cartpole-dqn config.duel", "scripts/train cartpole-dqn config.dueling="),
        ("scripts/train cartpole-dqn config.dueling=t", "scripts/train cartpole-dqn config.dueling=true "),
        ("scripts/train config.model.fcnet_h", "scripts/train config.model.fcnet_hiddens="),
        ("scripts/train rl.training.stop.episode_l", "scripts/train rl.training.stop.episode_len_mean="),
        ("scripts/train --resume f", "scripts/train --resume first-job "),
        ("./scripts/watch s", "./scripts/watch second-job "),
        ("scripts/jobs --rm first-job s", "scripts/jobs --rm first-job second-job "),
        ("scripts/jobs --state fa", "scripts/jobs --state failed "),
        ("scripts/evaluate first-job det", "scripts/evaluate first-job deterministic="),
        ("scripts/launch ev", "scripts/launch evaluate "),
        ("scripts/launch train cartpole-l", "scripts/launch train cartpole-lstm "),
        ("scripts/train --source examples/cor", "scripts/train --source examples/corridor/"),
        ("scripts/test st", "scripts/test stack "),
    ],
)
def test_a_tab_completes(bash: Bash, typed: str, completed: str) -> None:
    assert bash.tab(typed) == completed


def test_a_tab_costs_little_and_sets_nothing_up(tmp_path: Path) -> None:
    python = environments.ensure([environments.HOST], ROOT)
    line = "scripts/train config.lr"
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    answers = tmp_path / "answers"
    ran = subprocess.run(
        [str(python), "-X", "importtime", str(ROOT / "scripts" / "completion")],
        env={**os.environ, **asked, "STORE": str(tmp_path), "_ARGCOMPLETE_STDOUT_FILENAME": str(answers)},
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert answers.read_text().splitlines() == ["config.lr=", "config.lr_schedule="]
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in ran.stderr.splitlines()}
    assert "argcomplete" in imported
    assert not imported & {"boto3", "botocore", "docker", "gym", "jinja2", "numpy", "ray", "rich", "tensorflow"}
