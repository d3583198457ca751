"""What CONTRIBUTING.md says of adding an experiment is enough: a module and a line, and everything takes it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.app.jobs import REPOSITORY

MODULE = '''"""CartPole with a short pole."""

from __future__ import annotations

from rl_app.experiments.experiment import Experiment

EXPERIMENT = Experiment(
    about="CartPole by policy gradients.",
    trial={"run": "PG", "env": "CartPole-v1", "stop": {"training_iteration": 1}, "config": {"num_workers": 0}},
)
'''


def test_an_experiment_is_a_module_and_a_line(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    for folder in ("rl_app", "scripts"):
        shutil.copytree(
            REPOSITORY / folder, clone / folder, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True
        )
    experiments = clone / "rl_app" / "experiments"
    (experiments / "cartpole_pg.py").write_text(MODULE)
    registry = experiments / "__init__.py"
    text = registry.read_text()
    text = text.replace("import cartpole,", "import cartpole, cartpole_pg,")
    registry.write_text(text.replace("] = {\n", '] = {\n    "cartpole-pg": cartpole_pg.EXPERIMENT,\n'))

    listed = subprocess.run([str(clone / "scripts" / "experiments"), "--json"], stdout=subprocess.PIPE, check=True)
    trained = subprocess.run(
        [sys.executable, "-m", "rl_app", "local", "train", "cartpole-pg", "--job", "one", "--store", str(tmp_path)],
        cwd=clone,
        timeout=180,
        stderr=subprocess.PIPE,
        text=True,
    )

    (row,) = [row for row in json.loads(listed.stdout) if row["name"] == "cartpole-pg"]
    assert (row["about"], row["time_seen"]) == ("CartPole by policy gradients.", "not measured")
    assert trained.returncode == 0, trained.stderr
    assert json.loads((tmp_path / "one" / "job.json").read_text())["HyperParameters"]["experiment"] == "cartpole-pg"
    assert (tmp_path / "one" / "output" / "model.tar.gz").exists()
