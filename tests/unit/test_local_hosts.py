"""The containers of one job, by the names that SageMaker gives its hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from rl_app.errors import UserError
from rl_app.local.hosts import Hosts, found

TWO = Hosts({"algo-1": "10.0.0.2", "algo-2": "10.0.0.3"})


def test_a_job_that_goes_on_has_its_names_known_once(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("127.0.0.1\tlocalhost\n")
    TWO.make_known(file)
    TWO.make_known(file)
    assert file.read_text() == "127.0.0.1\tlocalhost\n10.0.0.2\talgo-1\n10.0.0.3\talgo-2\n"
    assert TWO.name_of("10.0.0.3") == "algo-2"


def test_a_container_that_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match=r"--hosts no-such-container\.invalid: there is no container of this name"):
        found(["no-such-container.invalid"])
