"""`convert`: tables of transitions become batches of RLlib's, or are refused with their row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from rl_app.__main__ import main

TABLE = """flight,obs_x,obs_y,act,earned,over,p
a,0.1,1,0,1,false,0.5
a,0.2,2,1,2,true,0.25
b,0.3,3,1,3,0,0.5
b,0.4,4,0,4,0,0.5
b,0.5,5,1,5,0,1
"""
FLAGS = ("--observation=obs_*", "--action=act", "--reward=earned", "--done=over", "--episode=flight")


class Lab:
    def __init__(self, root: Path) -> None:
        self.table, self.folder = root / "table.csv", root / "deep" / "episodes"

    def convert(self, text: str, *flags: str) -> int:
        self.table.write_text(text)
        return main(["convert", str(self.table), str(self.folder), *(flags or FLAGS)])

    def batches(self) -> List[Dict[str, Any]]:
        (file,) = self.folder.iterdir()
        return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_each_episode_is_a_batch(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert lab.convert(TABLE, *FLAGS, "--action-prob=p") == 0
    done, cut = lab.batches()
    assert done == {
        "type": "SampleBatch",
        "obs": [[0.1, 1], [0.2, 2]],
        "new_obs": [[0.2, 2], [0.2, 2]],
        "actions": [0, 1],
        "rewards": [1, 2],
        "dones": [False, True],
        "prev_actions": [0, 0],
        "prev_rewards": [0, 1],
        "eps_id": [0, 0],
        "t": [0, 1],
        "action_prob": [0.5, 0.25],
        "action_logp": [np.log(0.5), np.log(0.25)],
    }
    assert (cut["obs"], cut["new_obs"], cut["dones"]) == ([[0.3, 3], [0.4, 4]], [[0.4, 4], [0.5, 5]], [False, False])
    said = f"{lab.folder}: 2 episodes of 4 steps; left out 1, of episodes that were cut off\n"
    assert capsys.readouterr().out == said
    assert [path.name for path in lab.folder.parent.iterdir()] == ["episodes"]


def test_what_was_seen_at_the_end_keeps_the_last_step(lab: Lab) -> None:
    table = "s,s2,a,r,d\n1,2,0.5,1,0\n2,3,1,1,0\n"
    flags = ("--observation=s", "--next-observation=s2", "--action=a", "--reward=r", "--done=d")
    assert lab.convert(table, *flags) == 0
    (batch,) = lab.batches()
    assert (batch["new_obs"], batch["actions"]) == ([[2], [3]], [[0.5], [1.0]])


def test_whole_numbers_may_be_of_a_box(lab: Lab) -> None:
    assert lab.convert(TABLE, *FLAGS, "--continuous") == 0
    assert lab.batches()[0]["actions"] == [[0.0], [1.0]]


def test_a_name_with_brackets_is_a_name(lab: Lab) -> None:
    flags = ("--observation=obs[0],obs[1]", *FLAGS[1:])
    assert lab.convert(TABLE.replace("obs_x", "obs[0]").replace("obs_y", "obs[1]"), *flags) == 0
    assert lab.batches()[0]["obs"] == [[0.1, 1], [0.2, 2]]


@pytest.mark.parametrize("end", ["\n\n", ",,,,,,\n,,,,,,\n", "\r\n \r\n"])
def test_empty_lines_at_the_end_are_none(lab: Lab, end: str) -> None:
    assert lab.convert(TABLE + end) == 0
    assert [len(batch["t"]) for batch in lab.batches()] == [2, 2]


def test_an_npz_is_read_as_d4rl_names_its_arrays(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "hopper.npz"
    arrays = {
        "observations": np.arange(8, dtype=np.float32).reshape(4, 2),
        "actions": np.full((4, 3), 0.5),
        "rewards": np.ones(4),
        "terminals": np.array([False, True, False, False]),
        "timeouts": np.array([False, False, True, False]),
        "metadata/algorithm": np.array(["SAC"]),
    }
    np.savez(file, **arrays)
    assert main(["convert", str(file), str(lab.folder)]) == 0
    (batch,) = lab.batches()  # the others have a single step, of which nobody knows what came after
    assert (batch["obs"], batch["dones"]) == ([[0, 1], [2, 3]], [False, True])
    assert batch["actions"] == [[0.5] * 3] * 2


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("0.4,4", "nan,4", "row 5: obs_x = nan: expected a finite number"),
        ("0.4,4", "high,4", 'row 5: obs_x = "high": expected a number'),
        ("2,true", "2,2", "row 3: over = 2: expected 0, 1, true or false"),
        ("b,0.5", "a,0.5", "row 6: episode a was in rows 2 to 3 before"),
        ("1,false", "1,true", "row 3: episode a goes on after its end in row 2"),
        ("0,4,0,0.5", "0,4,0", "row 5: 6 values, and the header has 7"),
        ("0,4,0,0.5", "0,4,0,0", "row 5: p = 0: expected more than 0"),
        ("obs_x", "obs_y", "row 1: two columns have one name"),
        (",", ";", "row 1: ';' stands between the columns, and a comma is expected"),
        (",", "\t", "row 1: '\\t' stands between the columns, and a comma is expected"),
        ("0.25\nb", "0.25\n\nb", "row 4: 0 values, and the header has 7"),
    ],
)
def test_what_is_wrong_is_said_with_its_row(
    lab: Lab, old: str, new: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lab.convert(TABLE.replace(old, new), *FLAGS, "--action-prob=p") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{lab.table}, {said}")
    assert not lab.folder.exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (FLAGS[:-2], "--done COLUMNS has to say which columns are 1 or true in the last step"),
        ((*FLAGS, "--reward=gain"), "--reward gain: no such column in"),
        ((*FLAGS, "--reward=obs_*"), "--reward obs_*: expected one column, and these are 2"),
        ((*FLAGS, "--next-observation=obs_x"), "row 2: --next-observation obs_x: 1 numbers, and --observation 2"),
    ],
)
def test_flags_that_do_not_fit_the_table_are_refused(
    lab: Lab, flags: List[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lab.convert(TABLE, *flags) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line and not lab.folder.exists()


def test_what_is_there_is_not_written_over(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lab.folder.mkdir(parents=True)
    (lab.folder / "mine").touch()
    assert lab.convert(TABLE) == 2
    assert capsys.readouterr().err == f"{lab.folder}: is there already; give a new directory, or remove it\n"
    assert [path.name for path in lab.folder.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("steps.parquet", b"PAR1", "a table is a .csv or an .npz file; pandas makes a .csv of others"),
        ("steps.npz", b"none", "cannot be read"),
        ("steps.csv", b"", "there are no rows in it"),
        ("none.csv", None, "cannot be read: No such file or directory"),
    ],
)
def test_what_is_no_table_is_refused(
    lab: Lab, tmp_path: Path, name: str, content: Any, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main(["convert", str(tmp_path / name), str(lab.folder)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
