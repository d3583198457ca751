"""What a job's hyperparameters become, and every way in which they are refused."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

import pytest

from rl_app import algorithms
from rl_app.errors import UserError
from rl_app.job import hyperparameters, rules
from rl_app.job.hyperparameters import assignments, check_limits, is_program, parse, qualify
from rl_app.job.settings import Job, Settings
from rl_app.machine import Host, Machine, cluster

ROOT = Path(__file__).parents[2]
TWO_CPUS = Machine(cpus=2, gpus=0)
TWO_GPUS = Machine(cpus=8, gpus=2)
LARGE = Machine(cpus=64, gpus=8)
BARE = {"run": "PPO", "env": "CartPole-v1"}


def job(*words: str, machine: Optional[Machine] = TWO_CPUS, **experiments: Any) -> Job:
    return parse(assignments(words), machine, {"cartpole": BARE, **experiments})


def config(*words: str) -> Dict[str, Any]:
    found: Dict[str, Any] = job(*words).trial["config"]
    return found


def refusal(*words: str, machine: Optional[Machine] = TWO_CPUS, **experiments: Any) -> str:
    with pytest.raises(UserError) as caught:
        job(*words, machine=machine, **experiments)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) <= 1024
    return text


class TestTypes:
    @pytest.mark.parametrize(
        ("key", "text", "expected"),
        [
            ("lr", "0.001", 0.001),
            ("lr", "1e-4", 0.0001),
            ("lr", "1", 1),
            ("gamma", "0.95", 0.95),
            ("num_sgd_iter", "7", 7),
            ("num_sgd_iter", "7.0", 7),
            ("train_batch_size", "1e5", 100_000),
            ("num_gpus", "0", 0),
            ("min_iter_time_s", "0.5", 0.5),
            ("num_cpus_per_worker", "0.5", 0.5),
            ("use_gae", "true", True),
            ("use_gae", "True", True),
            ("soft_horizon", "False", False),
            ("observation_filter", "MeanStdFilter", "MeanStdFilter"),
            ("observation_filter", '"MeanStdFilter"', "MeanStdFilter"),
            ("horizon", "None", None),
            ("horizon", "null", None),
            ("horizon", "200", 200),
            ("grad_clip", "40", 40),
            ("lr_schedule", "[[0, 0.001], [1000, 0.0]]", [[0, 0.001], [1000, 0.0]]),
            ("entropy_coeff_schedule", "[[0, 0.1], [1000, 0]]", [[0, 0.1], [1000, 0]]),
            ("entropy_coeff_schedule", "100000", 100_000),
            ("output", "logdir", "logdir"),
            ("input", '["/a", "/b"]', ["/a", "/b"]),
            ("input", '{"sampler": 0.5, "/a": 0.5}', {"sampler": 0.5, "/a": 0.5}),
        ],
    )
    def test_a_value_is_json_of_the_fields_type(self, key: str, text: str, expected: object) -> None:
        value = config(f"config.{key}={text}")[key]

        assert value == expected
        assert type(value) is type(expected)

    def test_a_path_goes_into_nested_settings(self) -> None:
        found = config("config.model.fcnet_hiddens=[64, 64]", "config.model.use_lstm=True")

        assert found == {"model": {"fcnet_hiddens": [64, 64], "use_lstm": True}}

    @pytest.mark.parametrize(
        "key",
        [
            *("env_config", "model.custom_options", "optimizer", "tf_session_args"),
            *("local_tf_session_args", "evaluation_config", "exploration_config"),
        ],
    )
    def test_an_open_dict_takes_any_name_and_type(self, key: str) -> None:
        found = config(f"config.{key}.new.seed=x", f"config.{key}.num_gpus=None")
        for name in key.split("."):
            found = found[name]

        assert found == {"new": {"seed": "x"}, "num_gpus": None}

    def test_what_an_open_dict_has_by_default_keeps_its_type(self) -> None:
        assert "expected an integer" in refusal("config.tf_session_args.device_count.CPU=many")

    @pytest.mark.parametrize(
        ("word", "expected"),
        [
            ("config.lr=fast", 'rl.training.config.lr = "fast": expected a number'),
            ("config.lr=.5", 'rl.training.config.lr = ".5": expected a number'),
            ("config.lr=", 'rl.training.config.lr = "": expected a number'),
            ("config.lr=True", "rl.training.config.lr = true: expected a number"),
            ("config.lr=null", "rl.training.config.lr = null: expected a number"),
            ("config.lr=[1]", "rl.training.config.lr = [1]: expected a number"),
            ("config.num_sgd_iter=1.5", "rl.training.config.num_sgd_iter = 1.5: expected an integer"),
            ("config.num_sgd_iter=true", "rl.training.config.num_sgd_iter = true: expected an integer"),
            ("config.use_gae=1", "rl.training.config.use_gae = 1: expected true or false"),
            ("config.use_gae=yes", 'rl.training.config.use_gae = "yes": expected true or false'),
            ("config.log_level=5", "rl.training.config.log_level = 5: expected a string"),
            ("config.horizon=long", 'rl.training.config.horizon = "long": expected an integer or null'),
            ("config.model=[1]", "rl.training.config.model = [1]: expected an object as JSON"),
            ("config.model.fcnet_hiddens=64", "rl.training.config.model.fcnet_hiddens = 64: expected a list"),
            ("config.model.fcnet_hiddens=[64, 0]", "fcnet_hiddens = [64, 0]: must be layers of 1 or more"),
            ('config.model.fcnet_hiddens=[64, "a"]', 'fcnet_hiddens[1] = "a": expected an integer'),
            ("config.lr.schedule=1", 'rl.training.config.lr = {"schedule": 1}: expected a number'),
            ("config={'lr': 1}", "no JSON: Expecting property name enclosed in double quotes"),
            ("config.lr_schedule=[[0, 1]", "no JSON: Expecting ',' delimiter, at character 8"),
            ("stop.timesteps_total=soon", 'rl.training.stop.timesteps_total = "soon": expected a number'),
            ("env=5", "rl.training.env = 5: expected a string"),
            ("checkpoint_freq=often", 'rl.training.checkpoint_freq = "often": expected an integer'),
            ("seed=x", 'seed = "x": expected an integer or null'),
            ("max_run=1.5", "max_run = 1.5: expected an integer"),
            ("command=5", "command = 5: expected a string"),
            ("experiment=[1]", "experiment = [1]: "),
            ("run=5", "rl.training.run = 5: one of PPO, "),
        ],
    )
    def test_a_wrong_type_is_refused_with_what_is_expected(self, word: str, expected: str) -> None:
        assert expected in refusal(word)

    @pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
    def test_a_number_that_is_none_is_refused(self, text: str) -> None:
        assert f"{text} is no finite number" in refusal(f"config.lr={text}")
        assert f"{text} is no finite number" in refusal(f"config.lr_schedule=[[0, {text}]]")

    @pytest.mark.parametrize("text", ["9" * 5000, "[" * 5000, '{"a": "\\n"', "x\ny"])
    def test_what_cannot_be_read_is_refused_in_one_short_line(self, text: str) -> None:
        assert refusal(f"config.lr={text}").startswith("rl.training.config.lr = ")


class TestNames:
    @pytest.mark.parametrize(
        ("key", "meant"),
        [
            ("lr", "rl.training.config.lr"),
            ("model.use_lstm", "rl.training.config.model.use_lstm"),
            ("buffer_size", "rl.training.config.buffer_size"),  # another algorithm's than the default's
            ("seed", "seed"),  # ours
            ("env", "rl.training.env"),
            ("episode_reward_mean", "episode_reward_mean"),
        ],
    )
    def test_a_bare_name_means_a_setting_of_the_algorithm_where_it_is_none_of_ours(self, key: str, meant: str) -> None:
        assert hyperparameters.qualify(key) == meant

    def test_on_sagemaker_a_bare_name_is_refused_with_the_full_one(self) -> None:
        with pytest.raises(UserError, match=r"lr = 1: unknown; did you mean rl\.training\.config\.lr\?"):
            hyperparameters.parse({"lr": "1"}, machine=None)

    @pytest.mark.parametrize(
        ("word", "expected"),
        [
            ("config.lrr=1", "rl.training.config.lrr = 1: unknown; did you mean rl.training.config.lr?"),
            ("config.gama=1", "did you mean rl.training.config.gamma?"),
            ("config.fcnet_hiddens=[4]", "did you mean rl.training.config.model.fcnet_hiddens?"),
            ("config.model.fcnet_hidens=[4]", "did you mean rl.training.config.model.fcnet_hiddens?"),
            ("config.modl.fcnet_hiddens=[4]", "did you mean rl.training.config.model?"),
            (
                'config={"lamda": 1}',
                "rl.training.config.lamda = 1: unknown; did you mean rl.training.config.lambda?",
            ),
            (
                "config.leanring_rate=1",
                "rl.training.config.leanring_rate = 1: unknown; did you mean rl.training.config.lr?",
            ),
            ("config.worker_count=1", "did you mean rl.training.config.num_workers?"),
            ("learning_rate=1", "learning_rate = 1: unknown; did you mean rl.training.config.lr?"),
            ("config.net_arch=[8]", "did you mean rl.training.config.model.fcnet_hiddens?"),
            (
                "sed=1",
                "unknown; did you mean seed? known are experiment, command, seed, max_run, env_deadline, "
                "strict_spaces, filter_clip, hosts_deadline, on_host_lost, head_group, replay_mb, fast, export, "
                "rl.training.…",
            ),
            (
                "rl.training.lr=1",
                "did you mean rl.training.config.lr? rl.training has run, env, stop, config",
            ),
            ("rl.trainin.config.lr=1", "did you mean rl.training?"),
            ("stop.reward=1", "rl.training.stop has training_iteration, timesteps_total, episodes_total"),
            ("stop.episode_reward=1", "did you mean rl.training.stop.episode_reward_m"),
            ("xyzzy=1", "xyzzy = 1: unknown; known are experiment"),
            ("rl.training.=1", "rl.training. = 1: unknown"),
            ("config..lr=1", "rl.training.config. = "),
            ("rl=1", "rl = 1: not as a whole"),
            ('rl.training={"run": "DQN"}', "not as a whole"),
            ("seed.x=1", 'seed = {"x": 1}: expected an integer or null'),
            ("experiment=cartpol", 'experiment = "cartpol": did you mean cartpole? one of cartpole'),
            ("run=ppo", 'rl.training.run = "ppo": did you mean PPO? one of PPO, APPO'),
            ("experiment=CartPole", 'experiment = "CartPole": did you mean cartpole? one of cartpole'),
            ("config.LR=1", "did you mean rl.training.config.lr?"),
            ("run=PPPO", 'rl.training.run = "PPPO": did you mean PPO? one of PPO, APPO'),
        ],
    )
    def test_an_unknown_name_is_refused_with_the_nearest_and_what_there_is(self, word: str, expected: str) -> None:
        assert expected in refusal(word)

    @pytest.mark.parametrize("name", algorithms.REFUSED)
    def test_an_algorithm_that_cannot_run_is_refused_with_the_reason(self, name: str) -> None:
        assert f"{algorithms.REFUSED[name]}; one of PPO" in refusal(f"run={name}")

    @pytest.mark.parametrize(
        "key", ["num_samples", "scheduler", "search_alg", "local_dir", "checkpoint_at_end", "restore", "name"]
    )
    def test_tunes_other_words_are_refused_by_name(self, key: str) -> None:
        assert f"rl.training.{key} = 1: not here: " in refusal(f"rl.training.{key}=1")
        assert f"rl.training.{key} = 1: not here: " in refusal("experiment=mine", mine={**BARE, key: 1})

    @pytest.mark.parametrize(
        "word", ['config.lr={"grid_search": [1, 2]}', "config.lr.grid_search=[1]", "grid_search=[1]"]
    )
    def test_grid_search_is_refused_by_name(self, word: str) -> None:
        assert "a job is one trial; SageMaker's tuning jobs search" in refusal(word)

    def test_sagemakers_own_pass_untouched(self) -> None:
        raw = {"sagemaker_region": "eu-west-1", "_tuning_objective_metric": "episode_reward_mean"}

        assert parse(raw, TWO_CPUS).sagemaker == raw

    def test_a_users_program_is_known(self) -> None:
        assert is_program({"sagemaker_program": '"train.py"', "anything": "goes"})
        assert not is_program({"seed": "1"})


class TestPrecedence:
    MINE: Mapping[str, Any] = {
        **BARE,
        "stop": {"training_iteration": 3},
        "config": {"lr": 0.01, "gamma": 0.9, "model": {"fcnet_hiddens": [8], "use_lstm": False}},
        "checkpoint_freq": 2,
    }

    def trial(self, *words: str) -> Dict[str, Any]:
        return job("experiment=mine", *words, mine=self.MINE).trial

    def test_an_experiment_is_what_it_says_and_no_default_of_rllib(self) -> None:
        assert self.trial() == {**self.MINE, "keep_checkpoints_num": 3}

    def test_a_hyperparameter_comes_before_the_experiment(self) -> None:
        trial = self.trial("config.lr=0.5", "config.model.fcnet_hiddens=[9]", "stop.time_total_s=60")

        assert trial["config"] == {
            "lr": 0.5,
            "gamma": 0.9,
            "model": {"fcnet_hiddens": [9], "use_lstm": False},
        }
        assert trial["stop"] == {"training_iteration": 3, "time_total_s": 60}

    def test_a_whole_object_replaces_the_experiments_and_its_parts_come_after(self) -> None:
        trial = self.trial("config.model.dim=42", 'config={"lr": 0.5}', "stop={}")

        assert trial["config"] == {"lr": 0.5, "model": {"dim": 42}}
        assert trial["stop"] == {}

    def test_an_experiment_is_not_changed_by_a_job(self) -> None:
        before = json.dumps(self.MINE)

        self.trial("config.model.fcnet_hiddens=[9]", "seed=1")

        assert json.dumps(self.MINE) == before

    def test_an_experiment_may_be_a_function_of_the_machine(self) -> None:
        def mine(machine: Machine) -> Dict[str, Any]:
            return {**BARE, "config": {"num_workers": machine.cpus}}

        assert job("experiment=mine", machine=LARGE, mine=mine).trial["config"] == {"num_workers": 64}
        assert job("experiment=mine", machine=None, mine=mine).trial["config"] == {"num_workers": 2}

    def test_an_experiment_may_hold_python(self) -> None:
        mine = {**BARE, "config": {"callbacks": print, "lr_schedule": ((0, 1.0), (1, 0.5))}}

        assert job("experiment=mine", mine=mine).trial["config"]["callbacks"] is print
        older = {**BARE, "config": {"callbacks": {"on_episode_end": print}}}
        assert job("experiment=mine", mine=older).trial["config"]["callbacks"] == {"on_episode_end": print}

    @pytest.mark.parametrize(
        ("experiment", "expected"),
        [
            ({**BARE, "config": {"lamda": 1}}, "rl.training.config.lamda = 1: unknown; did you mean"),
            ({**BARE, "config": {"lr": "fast"}}, 'rl.training.config.lr = "fast": expected a number'),
            ({**BARE, "config": None}, "rl.training.config = null: expected an object"),
            ({"run": "PPO"}, 'experiment = "mine": env = null: expected a string'),
            ({"training": BARE}, "run = null: expected a string; give what is in its training, without that around it"),
            ({"run": "PPO", "config": {"env": "E"}}, "give it beside config, not in it: {'env': 'E', 'config': {…}}"),
            (
                {"run": "PPO", "env": int},
                "int'>\": expected a string; give a class its name in ENVS of envs.py, and that",
            ),
            (
                {**BARE, "config": {"callbacks": {"on_episode_end": 1}}},
                'callbacks = {"on_episode_end": 1}: Python code',
            ),
        ],
    )
    def test_an_experiment_is_checked_like_a_hyperparameter(self, experiment: Dict[str, Any], expected: str) -> None:
        assert expected in refusal("experiment=mine", mine=experiment)

    def test_another_algorithm_says_what_of_the_experiment_it_does_not_know(self) -> None:
        mine = {**BARE, "config": {"lr": 0.1, "clip_param": 0.2, "kl_coeff": 0.0}}

        text = refusal("experiment=mine", "run=DQN", mine=mine)

        assert (
            'rl.training.run = "DQN": experiment mine configures what DQN does not know: clip_param, kl_coeff' in text
        )

    def test_another_algorithm_runs_once_the_config_is_replaced(self) -> None:
        trial = self.trial("run=DQN", 'config={"buffer_size": 1000}')

        assert (trial["run"], trial["config"]) == ("DQN", {"buffer_size": 1000})

    def test_the_seed_has_two_names(self) -> None:
        for word in ("seed=3", "config.seed=3"):
            assert (job(word).settings.seed, config(word)["seed"]) == (3, 3)
        assert job("seed=3", "config.seed=3").settings.seed == 3
        assert job("seed=3", "experiment=mine", mine={**BARE, "config": {"seed": 4}}).settings.seed == 3
        assert refusal("seed=3", "config.seed=4").startswith("seed = 3: but rl.training.config.seed = 4")


class TestHosts:
    def of(self, *words: str, hosts: Sequence[Host]) -> Dict[str, Any]:
        trial: Dict[str, Any] = parse(assignments(words), cluster(hosts)).trial
        return trial["config"]

    TWO = (Host("algo-1", 2, 0), Host("algo-2", 5, 0))
    WITH_GPUS = (Host("algo-1", 2, 1), Host("algo-2", 5, 1))

    @pytest.mark.parametrize(
        ("words", "hosts", "workers"),
        [
            ("", TWO, 7),
            ("config.num_workers=3", TWO, 3),
            ("config.num_cpus_per_worker=2", TWO, 3),
            ("config.evaluation_interval=1 config.evaluation_num_workers=2", TWO, 5),
            ("config.num_gpus=1 config.num_gpus_per_worker=0.25", WITH_GPUS, 4),
            ("config.num_gpus=1 config.num_gpus_per_worker=1", WITH_GPUS, 1),
            ("run=APPO config={} config.num_gpus=0 config.num_workers=2", TWO, 2),
        ],
    )
    def test_there_are_as_many_workers_as_have_room(self, words: str, hosts: Sequence[Host], workers: int) -> None:
        assert self.of(*words.split(), hosts=hosts)["num_workers"] == workers

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ("config.num_workers=8", "8: the hosts have 7 CPUs (algo-1: 2, algo-2: 5), so at most 7"),
            ("config.num_workers=0", "0: must be 1 or more: the job has 2 hosts, and all but the first would idle"),
            (
                "config.num_workers=4 config.num_cpus_per_worker=2",
                "that takes more than the hosts' 7 CPUs (algo-1: 2, algo-2: 5)",
            ),
            ("config.num_gpus=1", "config.num_gpus = 1: algo-1 has 0 GPUs, so at most 0"),
            ("config.num_gpus_per_worker=1", "more than the hosts' 0 GPUs (algo-1: 0, algo-2: 0), of which"),
        ],
    )
    def test_more_than_they_have_is_refused_with_what_each_has(self, words: str, expected: str) -> None:
        with pytest.raises(UserError) as caught:
            self.of(*words.split(), hosts=self.TWO)
        assert expected in str(caught.value)

    def test_an_experiment_that_has_workers_keeps_them(self) -> None:
        machine = cluster([Host("algo-1", 9, 0), Host("algo-2", 9, 0)])
        mine = {**BARE, "config": {"num_workers": 3}}
        assert parse({"experiment": "mine"}, machine, {"mine": mine}).trial["config"]["num_workers"] == 3


class TestValues:
    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ("config.num_workers=9", "config.num_workers = 9: this machine has 2 CPUs, so at most 2"),
            ("config.num_workers=-1", "config.num_workers = -1: must be 0 or more"),
            ("config.num_workers=1 config.num_cpus_per_worker=3", "takes more than this machine's 2 CPUs"),
            (
                "config.num_workers=2 config.evaluation_num_workers=1 config.evaluation_interval=1",
                "config.evaluation_num_workers = 1 that takes more than this machine's 2 CPUs",
            ),
            ("config.num_gpus=1", "config.num_gpus = 1: this machine has 0 GPUs, so at most 0"),
            ("config.num_workers=1 config.num_gpus_per_worker=0.5", "more than this machine's 0 GPUs"),
            ("run=APEX", "config.num_workers = 32 (APEX's default): this machine has 2 CPUs"),
            ("run=IMPALA", "config.num_gpus = 1 (IMPALA's default): this machine has 0 GPUs"),
            ("run=A3C config.num_workers=0", "must be 1 or more: A3C learns from what its workers send"),
            (
                "run=SAC config.num_workers=1",
                "SAC takes workers only with config.compress_observations = true",
            ),
            ("seed=-1", "seed = -1: must be 0 to 4294967295"),
            ("config.seed=4294967296", "seed = 4294967296: must be 0 to 4294967295"),
            ("max_run=0", "max_run = 0: must be 1 or more"),
            ("command=trian", 'command = "trian": must be one of train, evaluate'),
            ("checkpoint_freq=-1", "rl.training.checkpoint_freq = -1: must be 0 or more"),
            ("keep_checkpoints_num=0", "rl.training.keep_checkpoints_num = 0: must be 1 or more"),
            ("stop.training_iteration=0", "rl.training.stop.training_iteration = 0: must be 1 or more"),
            ("stop.time_total_s=0", "rl.training.stop.time_total_s = 0: must be more than 0"),
            ("config.lr=-0.1", "rl.training.config.lr = -0.1: must be 0 or more"),
            ("config.gamma=1.01", "rl.training.config.gamma = 1.01: must be 0 to 1"),
            ("config.lambda=-1", "rl.training.config.lambda = -1: must be 0 to 1"),
            ("config.rollout_fragment_length=0", "must be 1 or more"),
            ("config.num_envs_per_worker=0", "must be 1 or more"),
            ("config.sgd_minibatch_size=4001", "at most config.train_batch_size, which is 4000"),
            ("config.train_batch_size=100", "sgd_minibatch_size = 128 (PPO's default): must be at most"),
            ("config.batch_mode=all", "must be one of truncate_episodes, complete_episodes"),
            ("config.observation_filter=None", "must be one of NoFilter, MeanStdFilter"),
            ("config.model.fcnet_activation=rellu", "must be one of tanh, relu"),
            ("config.use_gae=false", "must be true, unless config.batch_mode is complete_episodes"),
            ("config.lr_schedule=0.5", "must be a list of [timesteps, value]"),
            ("config.lr_schedule=[[0]]", "must be a list of [timesteps, value]"),
            ("config.lr_schedule=[]", "must be a list of [timesteps, value] in the order of time"),
            (
                "config.lr_schedule=[[9,0.1],[99,0.2]]",
                "must be a list of [timesteps, value] in the order of time, from 0 on",
            ),
            ("config.lr_schedule=[[9,0.1],[0,0.2]]", "must be a list of [timesteps, value] in the order of time"),
            ('config.entropy_coeff_schedule=[[0,"a"]]', "or the timesteps in which it falls to 0"),
            ("config.entropy_coeff_schedule=true", "or the timesteps in which it falls to 0"),
            ("config.exploration_config.final_epsilon=x", 'final_epsilon = "x": must be 0 to 1'),
            (
                "run=IMPALA config.num_gpus=0 config.batch_mode=complete_episodes",
                "unless config.vtrace is false",
            ),
        ],
    )
    def test_an_impossible_value_is_refused_with_what_is_allowed(self, words: str, expected: str) -> None:
        assert expected in refusal(*words.split())

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ("config.use_pytorch=True", "must be false: this image has TensorFlow, not PyTorch"),
            ("config.eager=true", "must be false: eager policies"),
            ("config.eager_tracing=true", "must be false: eager policies"),
            ("config.model.free_log_std=true", "must be false: Ray 0.8.5 ignores it with TensorFlow"),
            ("run=DQN config.model.use_lstm=true", "DQN has no LSTM in Ray 0.8.5; PPO, APPO, IMPALA"),
            ("config.model.lstm_use_prev_action_reward=true", "sees observations only"),
            ("config.model.use_lstm=true config.model.custom_model=x", "must be null where"),
            ("run=DQN config={} config.model.custom_action_dist=x", "must be null with DQN"),
            ("config.model.custom_preprocessor=x", "let a wrapper of the environment do it, or give export=false"),
            ("config.model.vf_share_layers=false", "PPO reads config.vf_share_layers instead"),
            ("run=SAC config.lr=0.1", "SAC does not read it"),
            ("run=TD3 config.model.fcnet_hiddens=[8]", "TD3 has settings of its own for its networks"),
            ("config.num_cpus_for_driver=2", "Tune alone reads it"),
            ('config.custom_resources_per_worker={"x":1}', "no other resources"),
            ("config.env=Pendulum-v1", "not here, but as rl.training.env"),
            ('config.callbacks={"on_episode_end":"f"}', "a hyperparameter cannot"),
            ("config.sample_batch_size=100", "now called config.rollout_fragment_length"),
            ("run=DQN config.soft_q=true", "now called config.exploration_config.type"),
            ("run=DQN config.grad_norm_clipping=1", "now called config.grad_clip"),
        ],
    )
    def test_what_would_be_ignored_or_cannot_be_is_refused_with_the_reason(self, words: str, expected: str) -> None:
        assert expected in refusal(*words.split())

    @pytest.mark.parametrize(
        "words",
        [
            "config.num_workers=0",
            "config.num_workers=2",
            "config.num_workers=2 config.evaluation_num_workers=1",
            "config.model.use_lstm=true",
            "config.model.custom_preprocessor=x export=false",
            "config.model.custom_model=x config.model.custom_action_dist=x",
            "run=A3C config.num_workers=1",
            "run=SAC config.num_workers=1 config.compress_observations=true",
            "run=DDPG config.grad_norm_clipping=10",
            "run=SAC config.target_entropy=-1.5",
            "config.train_batch_size=100 config.sgd_minibatch_size=100",
            "config.use_gae=false config.batch_mode=complete_episodes",
            "config.use_pytorch=false",
            "seed=4294967295",
            "command=evaluate",
        ],
    )
    def test_a_possible_value_passes(self, words: str) -> None:
        assert job(*words.split()).trial["env"] == "CartPole-v1"

    @pytest.mark.parametrize(
        "words",
        [
            "num_gpus=2",
            "num_gpus=0.5 num_workers=2 num_gpus_per_worker=0.75",
            "num_gpus=1 num_workers=2 num_gpus_per_worker=0.5",
            "num_workers=6 num_gpus_per_worker=0.3333",
            "num_workers=1 num_gpus_per_worker=2",
        ],
    )
    def test_gpus_that_there_are_are_given(self, words: str) -> None:
        assert job(*(f"config.{word}" for word in words.split()), machine=TWO_GPUS)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("num_gpus=3", "config.num_gpus = 3: this machine has 2 GPUs, so at most 2"),
            ("num_gpus=1.5 num_workers=2 num_gpus_per_worker=0.5", "takes more than this machine's 2 GPUs"),
            ("num_gpus=2 num_workers=1 num_gpus_per_worker=0.1", "takes more than this machine's 2 GPUs"),
            # Three workers would not fill two GPUs, but none has parts of both
            ("num_workers=3 num_gpus_per_worker=0.6", "of which a worker has a part of one or whole ones"),
            (
                "num_workers=2 num_gpus_per_worker=1 evaluation_num_workers=1 evaluation_interval=1",
                "config.evaluation_num_workers = 1 and config.num_gpus = 0 that takes more",
            ),
            ("num_workers=1 num_gpus_per_worker=1.5", "must be 0 to 1 or a whole number"),
        ],
    )
    def test_more_gpus_than_there_are_are_refused_before_ray_starts(self, words: str, said: str) -> None:
        assert said in refusal(*(f"config.{word}" for word in words.split()), machine=TWO_GPUS)

    def test_what_the_machine_limits_is_left_to_the_machine(self) -> None:
        assert job("config.num_workers=9", "config.num_gpus=1", machine=None).trial["config"]["num_workers"] == 9
        assert "must be 0 or more" in refusal("config.num_workers=-1", machine=None)

    @pytest.mark.parametrize("name", algorithms.NAMES)
    def test_each_algorithms_own_defaults_pass(self, name: str) -> None:
        assert job(f"run={name}", machine=LARGE).trial["run"] == name

    def test_every_name_in_the_rules_is_one_of_a_job(self) -> None:
        known = {
            "run",
            "env",
            "checkpoint_freq",
            "keep_checkpoints_num",
            "config.exploration_config.initial_epsilon",
        }
        known |= {f"stop.{key}" for key in ("training_iteration", "timesteps_total", "episodes_total", "time_total_s")}
        known |= {field.name for field in fields(Settings)}
        for name in algorithms.NAMES:
            known |= paths(algorithms.default_config(name), "config.")

        ruled = {name for rule in (*rules.RULES, *rules.MACHINE_RULES) for name in rule.names.split()}

        assert ruled <= known


def paths(tree: Mapping[str, Any], prefix: str) -> "set[str]":
    below: List[str] = []
    for key, value in tree.items():
        if isinstance(value, dict):
            below += paths(value, f"{prefix}{key}.")
    return {*below, *(f"{prefix}{key}" for key in tree)}


class TestCommandLine:
    @pytest.mark.parametrize(
        ("key", "expected"),
        [
            ("config.lr", "rl.training.config.lr"),
            ("rl.training.config.lr", "rl.training.config.lr"),
            ("run", "rl.training.run"),
            ("stop.time_total_s", "rl.training.stop.time_total_s"),
            ("scheduler", "rl.training.scheduler"),
            ("seed", "seed"),
            ("experiment", "experiment"),
            ("sagemaker_region", "sagemaker_region"),
        ],
    )
    def test_the_prefix_may_be_left_out(self, key: str, expected: str) -> None:
        assert qualify(key) == expected

    def test_words_are_hyperparameters_by_their_full_names(self) -> None:
        assert assignments(["config.env_config.url=a=b", "seed=3", "max_run="]) == {
            "rl.training.config.env_config.url": "a=b",
            "seed": "3",
            "max_run": "",
        }

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["config.lr"], "config.lr: expected KEY=VALUE"),
            (["=1"], "=1: expected KEY=VALUE"),
            (["seed=1", "seed=2"], "seed = 2: given twice, before as 1"),
            (["config.lr=1", "rl.training.config.lr=1"], "rl.training.config.lr = 1: given twice"),
        ],
    )
    def test_a_word_that_is_none_is_refused(self, words: List[str], expected: str) -> None:
        with pytest.raises(UserError, match=expected.replace(".", r"\.")):
            assignments(words)

    def test_what_sagemaker_takes_passes_its_limits(self) -> None:
        check_limits({f"{index:0256}": "v" * 2500 for index in range(100)})

    @pytest.mark.parametrize(
        ("raw", "expected"),
        [
            ({str(index): "" for index in range(101)}, "101 hyperparameters: SageMaker takes at most 100"),
            ({"k" * 257: ""}, "a name of 257 characters; SageMaker takes at most 256"),
            ({"seed": "1" * 2501}, "seed = 1+…: 2501 characters; SageMaker takes at most 2500"),
        ],
    )
    def test_sagemakers_limits_are_checked(self, raw: Dict[str, str], expected: str) -> None:
        with pytest.raises(UserError, match=expected):
            check_limits(raw)


def test_the_guide_has_a_row_for_every_setting() -> None:
    guide = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")

    for field in fields(Settings):
        assert f"| `{field.name}` | {field.metadata['help']}" in guide


def test_the_check_needs_the_standard_library_only() -> None:
    code = "from rl_app.job.hyperparameters import parse; print(parse({'seed': '3'}, None).settings.seed)"

    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )

    assert (done.returncode, done.stdout) == (0, b"3\n")
