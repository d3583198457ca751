"""Checkpoints are whole or not there, the best is never pruned, and a broken one is passed over."""

import re

import pytest

from rl_app.errors import JobError
from rl_app.training import checkpoints


class Trainer:
    """Saves and restores in the layout of ray.tune.Trainable, without Ray: the file is the iteration's number."""

    def __init__(self, iteration=0):
        self.iteration = iteration

    def save(self, directory):
        from pathlib import Path

        target = Path(directory) / f"checkpoint_{self.iteration}"
        target.mkdir(parents=True)
        (target / f"checkpoint-{self.iteration}").write_text(str(self.iteration))
        (target / f"checkpoint-{self.iteration}.tune_metadata").write_text("metadata")

    def restore(self, path):
        with open(path) as stream:
            self.iteration = int(stream.read())


def save(directory, *iterations):
    for iteration in iterations:
        checkpoints.save(Trainer(iteration), directory)


def iterations(directory):
    return [checkpoint.iteration for checkpoint in checkpoints.kept(directory)]


def test_they_are_ordered_by_number_and_not_by_name(tmp_path):
    save(tmp_path, 9, 10, 100)
    assert iterations(tmp_path) == [9, 10, 100]


def test_nothing_half_written_is_left_or_taken(tmp_path):
    save(tmp_path, 1)
    half = tmp_path / "checkpoint_2"
    half.mkdir()
    (half / "checkpoint-2").write_text("2")
    assert iterations(tmp_path) == [1]
    save(tmp_path, 2)
    assert iterations(tmp_path) == [1, 2]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["checkpoint_1", "checkpoint_2"]


def test_the_newest_and_the_best_are_kept(tmp_path):
    save(tmp_path, 1, 2, 3, 4, 5)
    reward = {1: 10.0, 2: 500.0, 3: 20.0, 4: 30.0, 5: 40.0}
    checkpoints.prune(tmp_path, 2, reward.__getitem__)
    assert iterations(tmp_path) == [2, 4, 5]
    assert checkpoints.best(tmp_path, reward.__getitem__).iteration == 2


def test_without_a_number_to_keep_all_are_kept(tmp_path):
    save(tmp_path, 1, 2, 3)
    checkpoints.prune(tmp_path, None, lambda _: 0.0)
    assert iterations(tmp_path) == [1, 2, 3]


def test_of_equals_the_newest_is_the_best(tmp_path):
    save(tmp_path, 1, 2)
    assert checkpoints.best(tmp_path, lambda _: 200.0).iteration == 2


def test_a_broken_checkpoint_is_passed_over_for_the_one_before(tmp_path):
    save(tmp_path, 1, 2)
    (tmp_path / "checkpoint_2" / "checkpoint-2").write_text("cut sh")
    trainer = Trainer()
    said = []
    assert checkpoints.restore_newest(trainer, tmp_path, said.append).iteration == 1
    assert trainer.iteration == 1
    (line,) = said
    assert re.match(r"checkpoint_2 cannot be read \(.*\): it is now unreadable-checkpoint_2, and not used", line)
    assert iterations(tmp_path) == [1]


def test_an_empty_directory_is_a_fresh_start_and_only_broken_ones_are_an_error(tmp_path):
    assert checkpoints.restore_newest(Trainer(), tmp_path, print) is None
    save(tmp_path, 1)
    (tmp_path / "checkpoint_1" / "checkpoint-1").write_text("broken")
    with pytest.raises(JobError, match="none of the 1 checkpoints"):
        checkpoints.restore_newest(Trainer(), tmp_path, print)
