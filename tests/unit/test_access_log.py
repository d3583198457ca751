"""What the log of requests hands to a pipe that other processes write to, too."""

from __future__ import annotations

import select

from rl_app.serving.access_log import whole_lines


def test_a_pipe_is_given_whole_lines_and_no_more_than_it_takes_at_once() -> None:
    line = b"x" * 999 + b"\n"
    assert whole_lines([line] * 3) == 3
    assert whole_lines([line] * 100) == select.PIPE_BUF // len(line)
    assert whole_lines([line * 10, line]) == 1, "a line that is longer goes alone"
