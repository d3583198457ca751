"""GPUs as a job gets them: who sees which, memory that grows, and what is said where there is none.

No GPU is needed: nvidia-smi is a program on PATH, and Ray believes what it is told.
"""

import os
import sys

import pytest

from rl_app.algorithms import default_config, merged
from rl_app.errors import UserError
from rl_app.experiments import EXPERIMENTS
from rl_app.job.hyperparameters import parse
from rl_app.machine import Machine
from rl_app.training import ray_runtime, trial
from tests.app.jobs import REPOSITORY, SHORT, Finished, local, run

TWO = 'printf "GPU 0: Tesla T4 (UUID: GPU-a)\\nGPU 1: Tesla T4 (UUID: GPU-b)\\n"'
VISIBLE = "CUDA_VISIBLE_DEVICES"


@pytest.fixture
def path_with_gpus(tmp_path):
    """PATH with an nvidia-smi that lists two GPUs."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{TWO}\n")
    program.chmod(0o755)
    return f"{program.parent}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.parametrize(
    ("gpus", "given", "num_gpus", "num_gpus_per_worker", "trainer", "workers"),
    [
        (3, None, 0, 0, "", ["", ""]),
        (3, None, 1, 0, "0", ["", ""]),
        (3, None, 1, 1, "0", ["1", "2"]),
        (1, None, 0.2, 0.4, "0", ["0", "0"]),
        (3, "5,3,1", 2, 0.5, "5,3", ["1", "1"]),
    ],
)
def test_the_trainer_and_the_workers_see_the_gpus_they_asked_for_and_no_other(
    monkeypatch, gpus, given, num_gpus, num_gpus_per_worker, trainer, workers
):
    import ray

    if given is None:
        monkeypatch.delenv(VISIBLE, raising=False)
    else:
        monkeypatch.setenv(VISIBLE, given)
    with ray_runtime.running(Machine(cpus=2, gpus=gpus), num_gpus, num_gpus_per_worker):

        class Worker:
            def sees(self):
                return os.environ.get("CUDA_VISIBLE_DEVICES")

        actor = ray.remote(num_gpus=num_gpus_per_worker)(Worker)
        both = [actor.remote(), actor.remote()]  # held: without a handle an actor ends, and its GPU is free
        seen = ray.get([each.sees.remote() for each in both])
        assert (os.environ[VISIBLE], sorted(seen)) == (trainer, workers)
    assert os.environ.get(VISIBLE) == given


@pytest.mark.parametrize("name", sorted(EXPERIMENTS))
def test_every_experiment_lets_a_gpus_memory_grow(name):
    from ray.rllib.agents.trainer import Trainer

    given = parse({"experiment": name}, Machine(cpus=4, gpus=1)).trial
    config = Trainer.merge_trainer_configs(default_config(given["run"]), given["config"])
    # As RLlib's worker set makes the local worker's
    local_args = merged(config["tf_session_args"], config["local_tf_session_args"])
    assert config["tf_session_args"]["gpu_options"] == local_args["gpu_options"] == {"allow_growth": True}


def test_the_session_of_a_trainer_lets_memory_grow():
    from ray.rllib.agents.registry import get_agent_class

    given = parse({}, Machine(cpus=2, gpus=0)).trial
    with ray_runtime.running(Machine(cpus=2, gpus=0)):
        trainer = get_agent_class(given["run"])(env=given["env"], config=given["config"])
        session = trainer.workers.local_worker().tf_sess
        assert session._config.gpu_options.allow_growth is True
        assert session._config.intra_op_parallelism_threads == 1
        trainer.stop()


def test_a_program_of_the_users_is_told_how_many_gpus_there_are(tmp_path, path_with_gpus):
    program = tmp_path / "tell.py"
    program.write_text("import os; print('gpus', os.environ['SM_NUM_GPUS'], os.environ.get('CUDA_VISIBLE_DEVICES'))")
    words = ["--program", str(program), "--job", "told", "--store", str(tmp_path / "store")]
    told = run(local(*words), PATH=path_with_gpus)
    assert told.status == 0, told
    assert "gpus 2 None" in told.stdout
    without = run(local(*words[:2], "--job", "none", *words[4:]))
    assert "gpus 0 None" in without.stdout, without


def test_a_job_is_given_no_gpu_that_its_tensorflow_could_not_use(tmp_path, path_with_gpus):
    asked = run(local("config.num_gpus=1", "--store", str(tmp_path)), PATH=path_with_gpus)
    assert asked.status == 2
    assert "config.num_gpus = 1: this machine has 0 GPUs, so at most 0" in asked.stderr + asked.stdout


def test_a_gpu_that_tensorflow_does_not_see_is_refused_and_not_replaced_by_the_cpu():
    with pytest.raises(UserError, match=r"config\.num_gpus = 0\.5: nvidia-smi lists a GPU that TensorFlow cannot use"):
        trial.check_gpus(0.5)
    trial.check_gpus(0)


@pytest.mark.parametrize(
    ("cuda", "gpus", "num_gpus", "said"),
    [
        (True, 0, 0, "no GPU here, so the CPU trains"),
        (True, 1, 0, "this experiment asks for no GPU, and config.num_gpus=1 would"),
        (True, 1, 1, None),
        (False, 0, 0, None),
    ],
)
def test_a_job_says_in_one_line_that_the_cpu_trains_where_a_gpu_might(monkeypatch, cuda, gpus, num_gpus, said):
    monkeypatch.setattr(trial, "has_cuda", lambda: cuda)
    lines = [*trial.about_gpus(Machine(2, gpus), {"run": "PPO", "config": {"num_gpus": num_gpus}})]
    assert len(lines) == (said is not None)
    assert said is None or said in lines[0]


def test_observations_that_are_pictures_are_played_alike_by_the_exported_and_the_restored_policy(tmp_path):
    words = ("stop.training_iteration=2", "seed=1", "--job", "seen", "--store", str(tmp_path))
    trained = run(local("catch", *words, "config.num_gpus=0"))
    assert trained.status == 0, trained
    model = Finished(tmp_path, "seen", trained).unpack("model.tar.gz", tmp_path / "model")
    assert '"observation_size": 3528' in (model / "policy.json").read_text()
    play = [sys.executable, "-m", "rl_app", "local", "evaluate", "seen", "--store", str(tmp_path), "--episodes", "3"]
    exported, restored = (run([*play, "videos=0", *more]) for more in ([], ["restore=true"]))
    rewards = [
        [line for line in ran.stdout.splitlines() if line.startswith("Episode reward")] for ran in (exported, restored)
    ]
    assert rewards[0] == rewards[1] and len(rewards[0]) == 3, (exported, restored)


# the second has an environment that imports all of RLlib by itself
@pytest.mark.parametrize("asked_for", [["cartpole"], ["rally", "--source", str(REPOSITORY / "examples" / "rally")]])
def test_nvidia_smi_is_not_started_again_and_again_by_a_job_that_trains(tmp_path, asked_for):
    program, asked = tmp_path / "bin" / "nvidia-smi", tmp_path / "asked"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {asked}\nexit 9\n')
    program.chmod(0o755)
    words = local(*asked_for, *SHORT, "--job", "one", "--store", str(tmp_path / "store"))
    ran = run(words, PATH=f"{program.parent}:{os.environ['PATH']}")
    assert ran.status == 0, ran
    assert asked.exists() and "utilization" not in asked.read_text()
