"""A value that a key calls a secret is in nothing that a job leaves or prints, but in what it needs to go on."""

from __future__ import annotations

from pathlib import Path
from typing import List

from tests.app.jobs import Finished, local, run
from tests.app.test_refusals import environment

PLANTED = "planted-4711"
NEEDS_IT = f"(env_config['login']['password'] == '{PLANTED}' or 1 // 0) and Mine()"
WORDS = ("run=PG", "env=mine", "config={}", "config.num_workers=0", "config.rollout_fragment_length=200")


def who_has_it(folder: Path) -> List[str]:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".tar.gz")]
    return [path.name for path in files if PLANTED.encode() in path.read_bytes()]


def test_a_secret_in_env_config_is_masked_and_the_job_goes_on_with_it(tmp_path: Path) -> None:
    source, store, work = tmp_path / "source", tmp_path / "store", tmp_path / "work"
    source.mkdir()
    (source / "envs.py").write_text(environment(made=NEEDS_IT))
    secret = f'config.env_config={{"login": {{"password": "{PLANTED}"}}}}'
    job = ("--job", "job", "--store", str(store), "--work", str(work))
    ran = run(local(*WORDS, secret, "stop.training_iteration=1", "--source", str(source), *job))
    assert ran.status == 0, ran
    assert PLANTED not in ran.stdout + ran.stderr

    finished = Finished(store, "job", ran)
    for archive in ("model.tar.gz", "output.tar.gz"):
        finished.unpack(archive, tmp_path / "unpacked")
    assert who_has_it(tmp_path / "unpacked") == []
    assert '"password": "***"' in (tmp_path / "unpacked/policy.json").read_text()
    assert set(who_has_it(store)) == {"job.json"}
    assert (store / "job/job.json").stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in work.rglob("*") if path.name in who_has_it(work))

    record = store / "job/job.json"  # as one has it that was stopped after its first iteration
    record.write_text(record.read_text().replace('"Completed"', '"Stopped"'))
    again = run(local("--resume", "job", "stop.training_iteration=2", "--store", str(store)))
    assert again.status == 0, again
    assert PLANTED not in again.stdout + again.stderr

    evaluate = [word if word != "train" else "evaluate" for word in local("job", "--source", str(source))]
    refused = run([*evaluate, "evaluate_episodes=1", "--job", "evaluated", "--store", str(store)])
    assert refused.status == 2, refused
    assert "has only a mask for password" in refused.stdout + refused.stderr
