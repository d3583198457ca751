"""Programs of the user's own: how they end, and what is said of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from rl_app.job import requirements
from tests.app.jobs import REPOSITORY, Finished, local, run, start, stop, wait_for_line
from tests.unit.test_requirements import EDITABLE

SAVE = "with open(os.path.join(os.environ['SM_MODEL_DIR'], 'saved'), 'w') as file: file.write(str(%s))"


def program(folder: Path, text: str) -> str:
    file = folder / "mine.py"
    file.write_text(text)
    return str(file)


def words(tmp_path: Path, text: str):
    return local("--program", program(tmp_path, text), "--job", "mine", "--store", str(tmp_path / "store"))


def test_the_reason_of_a_failure_is_the_end_of_standard_error(tmp_path):
    text = "import sys\nprint('a line ' * 500, file=sys.stderr)\nraise ValueError('no such thing')"
    ran = run(words(tmp_path, text))
    reason = Finished(tmp_path / "store", "mine", ran).record["FailureReason"]
    assert ran.status == 1, ran
    assert 'mine.py", line 3, in <module>' in reason
    assert "ValueError: no such thing" in reason
    assert len(reason) <= 1024
    assert "ValueError: no such thing" in ran.stderr, "it is on standard error as ever"


def test_a_package_beside_it_is_installed_for_the_job_alone(tmp_path):
    (tmp_path / "maze" / "ownmaze").mkdir(parents=True)
    (tmp_path / "maze" / "ownmaze" / "__init__.py").write_text("SIZE = 3\n")
    (tmp_path / "maze" / "pyproject.toml").write_text(EDITABLE)
    (tmp_path / "requirements.txt").write_text("-e ./maze\n")
    given = [word for name in ("maze", "requirements.txt") for word in ("--dependency", str(tmp_path / name))]
    ran = run([*words(tmp_path, f"import os, ownmaze\n{SAVE % 'ownmaze.SIZE'}"), *given])
    assert ran.status == 0, ran
    model = Finished(tmp_path / "store", "mine", ran).unpack("model.tar.gz", tmp_path / "model")
    assert (model / "saved").read_text() == "3"
    assert "ownmaze" not in requirements.installed()


def test_a_program_that_saves_at_a_stop_still_has_its_ray(tmp_path):
    text = f"""
import os, signal, sys, threading
import ray
asked = threading.Event()
ray.init(num_cpus=1, include_webui=False, object_store_memory=80_000_000, logging_level=40)
signal.signal(signal.SIGTERM, lambda *_: asked.set())  # after init, in which Ray sets a handler of its own
@ray.remote
class Weights:
    def get(self):
        return 42
weights = Weights.remote()
assert ray.get(weights.get.remote()) == 42
print("training", flush=True)
asked.wait()
threading.Event().wait(2)  # the rest of an iteration
{SAVE % "ray.get(weights.get.remote(), timeout=20)"}
ray.shutdown()
"""
    process = start(words(tmp_path, text))
    wait_for_line(process, "training")
    ran = stop(process)
    job = Finished(tmp_path / "store", "mine", ran)
    assert job.record["TrainingJobStatus"] == "Stopped", ran
    assert (job.unpack("model.tar.gz", tmp_path / "model") / "saved").read_text() == "42", ran


def test_a_program_that_a_stop_ends_is_stopped_and_not_failed(tmp_path):
    process = start(words(tmp_path, "import signal\nprint('waiting', flush=True)\nsignal.pause()"))
    wait_for_line(process, "waiting")
    ran = stop(process)
    assert Finished(tmp_path / "store", "mine", ran).record["TrainingJobStatus"] == "Stopped", ran


def test_a_program_that_leaves_no_model_is_told_so_at_its_end(tmp_path):
    ran = run(words(tmp_path, "print('done')"))
    assert ran.status == 0, ran
    printed = ran.stdout.splitlines()
    (line,) = [number for number, text in enumerate(printed) if text.startswith("NO MODEL: mine.py left ")]
    assert printed.index("done") < line


def test_a_program_finds_this_package(tmp_path):
    ran = run(words(tmp_path, f"import os, rl_app, rl_app.envs\n{SAVE % 1}"))
    assert ran.status == 0, ran
    assert "NO MODEL" not in ran.stdout


@pytest.fixture
def opt_ml(tmp_path):
    """An /opt/ml as version 3 of SageMaker's SDK lays it out, with the code in a channel."""
    config = tmp_path / "ml" / "input" / "config"
    config.mkdir(parents=True)
    host = {"current_host": "localhost", "hosts": ["localhost"], "network_interface_name": "ethwe"}
    (config / "resourceconfig.json").write_text(json.dumps(host))
    (config / "inputdataconfig.json").write_text(json.dumps({"code": {"TrainingInputMode": "File"}}))
    (config.parent / "data").mkdir()
    (config.parent / "data" / "code").symlink_to(REPOSITORY / "examples" / "corridor")
    return tmp_path / "ml"


def container(opt_ml, **hyperparameters):
    (opt_ml / "input" / "config" / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    return run([sys.executable, "-m", "rl_app", "train"], SAGEMAKER_BASE_DIR=str(opt_ml))


def test_the_users_environments_may_be_in_the_channel_code(opt_ml):
    ran = container(opt_ml, experiment="corridor", **{"rl.training.stop.training_iteration": "1"})
    assert ran.status == 0, ran
    assert json.loads((opt_ml / "model" / "policy.json").read_text())["env"] == "corridor"


def test_a_job_that_has_lost_its_model_is_a_failure(opt_ml, tmp_path):
    (opt_ml / "input" / "data" / "code").unlink()
    (opt_ml / "input" / "data" / "code").mkdir()
    own = opt_ml / "input" / "data" / "code" / "experiments.py"
    own.write_text("""
import shutil
from rl_app.experiments import EXPERIMENTS as OURS
from rl_app.policy import export
exported = export.export
def lost(trainer, directory, *rest):
    exported(trainer, directory, *rest)
    for path in directory.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
export.export = lost
EXPERIMENTS = {"lost": OURS["cartpole"]}
""")
    ran = container(opt_ml, experiment="lost", **{"rl.training.stop.training_iteration": "1"})
    assert ran.status == 1, ran
    assert (opt_ml / "output" / "failure").read_text() == (
        f"{opt_ml / 'model'} is empty at the end of the job, which left its model there"
    )
