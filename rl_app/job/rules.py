"""Which values are possible for a job's hyperparameters, beyond their names and types: a table."""

from __future__ import annotations

from typing import List, Optional

from rl_app.job import places
from rl_app.job.rule import SCHEDULES, Breach, Rule, Values, at_least, breaches, config, is_code, one_of, only, renamed
from rl_app.machine import Machine


def breach(values: Values, machine: Optional[Machine]) -> Optional[Breach]:
    """Return the first breach of the rules; those about the machine are left out where it is not known."""
    rules: List[Rule] = [*RULES]
    if machine is not None:
        values = {**values, "machine": machine, **places.said(machine)}
        rules += MACHINE_RULES
    return next(breaches(rules, values), None)


def _least_workers(run: str, least: int) -> Rule:
    return Rule(
        "config.num_workers",
        lambda workers, values: values["run"] != run or workers >= least,
        f"must be {least} or more: {run} learns from what its workers send",
    )


def _workers(values: Values) -> int:
    evaluating = values["config.evaluation_num_workers"] if values["config.evaluation_interval"] else 0
    return int(values["config.num_workers"] + evaluating)


def _workers_fit_cpus(values: Values) -> bool:
    """Return whether each worker has its CPUs, all on one host."""
    return _workers(values) <= places.of_cpus(values["machine"], values["config.num_cpus_per_worker"])


def _workers_fit_gpus(part: float, values: Values) -> bool:
    """Return whether each worker has a GPU, or a part of one, beside the trainer's; no worker has parts of two."""
    return _workers(values) <= places.of_gpus(values["machine"], part, values["config.num_gpus"])


# All other algorithms drop use_lstm, and custom_action_dist, in silence.
RECURRENT = ("PPO", "APPO", "IMPALA", "A2C", "A3C", "PG")
SAMPLING = (*RECURRENT, "MARWIL")
# These learn only from what workers send, and without one wait for ever. APEX spreads its exploration over
# the workers and divides by one less than their number.
LEAST_WORKERS = {"APPO": 1, "IMPALA": 1, "A3C": 1, "APEX": 2, "APEX_DDPG": 2}
# On Python 3.8 their replay buffer cannot unpack what a worker sent, unless the worker packed it.
PACKED_BY_WORKERS = ("SAC", "DDPG", "TD3", "SimpleQ")
# These read learning rates and networks of their own, the common ones not at all.
OWN_NETWORKS = ("SAC", "DDPG", "APEX_DDPG", "TD3")

RULES = (
    one_of("train evaluate", "command"),
    one_of("fail go_on", "on_host_lost"),
    Rule("seed config.seed", lambda seed, _: 0 <= seed < 2**32, "must be 0 to 4294967295"),
    # What this image cannot do, and what Ray 0.8.5 would ignore
    only(False, "config.use_pytorch", "must be false: this image has TensorFlow, not PyTorch"),
    only(
        False,
        "config.eager config.eager_tracing config.no_eager_on_workers",
        "must be false: eager policies train slower and have no graph to export",
    ),
    only(False, "config.model.free_log_std", "must be false: Ray 0.8.5 ignores it with TensorFlow"),
    Rule(
        "config.model.use_lstm",
        lambda lstm, values: not lstm or values["run"] in RECURRENT,
        f"must be false: %(run)s has no LSTM in Ray 0.8.5; {', '.join(RECURRENT)} have",
    ),
    only(
        False,
        "config.model.lstm_use_prev_action_reward",
        "must be false: the LSTM of this image sees observations only",
    ),
    Rule(
        "config.model.custom_model",
        lambda _, values: not values["config.model.use_lstm"],
        "must be null where config.model.use_lstm is true",
    ),
    Rule("config.model.custom_action_dist", lambda _, values: values["run"] in SAMPLING, "must be null with %(run)s"),
    Rule(
        "config.model.custom_preprocessor",
        lambda _, values: not values.get("export", True),
        "an exported policy has no code of your own: let a wrapper of the environment do it, or give export=false",
    ),
    Rule(
        "config.model.vf_share_layers",
        lambda share, values: share or "config.vf_share_layers" not in values,
        "must be true: %(run)s reads config.vf_share_layers instead",
    ),
    Rule(
        "config.lr",
        lambda lr, values: lr == 1e-4 or values["run"] not in OWN_NETWORKS,
        "must be 0.0001: %(run)s does not read it, but learning rates of its own",
    ),
    Rule(
        "config.model.fcnet_hiddens config.model.fcnet_activation",
        lambda value, values: (
            value in ([256, 256], "tanh")
            or values["run"] not in OWN_NETWORKS
            or values["config.use_state_preprocessor"]
        ),
        "must be its default: %(run)s has settings of its own for its networks",
    ),
    only(1, "config.num_cpus_for_driver", "must be 1: Tune alone reads it"),
    only(0, "config.memory config.object_store_memory", "must be 0: Tune alone reads it"),
    only(True, "config.log_sys_usage", "must be true: Tune alone reads it"),
    only(
        {},
        "config.custom_resources_per_worker",
        "must be {}: this job's Ray has CPUs and GPUs, no other resources",
    ),
    Rule("config.env", lambda env, values: env == values["env"], "not here, but as rl.training.env"),
    Rule(
        "config.callbacks config.custom_eval_function",
        is_code,
        "Python code, which an experiment can hold and a hyperparameter cannot",
    ),
    *(
        renamed(old, new)
        for old, new in {
            "sample_batch_size": "rollout_fragment_length",
            "grad_norm_clipping": "grad_clip",
            "schedule_max_timesteps": "exploration_config.epsilon_timesteps",
            "exploration_fraction": "exploration_config.epsilon_timesteps",
            "exploration_final_eps": "exploration_config.final_epsilon",
            "per_worker_exploration": "exploration_config.type",
            "parameter_noise": "exploration_config.type",
            "soft_q": "exploration_config.type",
            "softmax_temp": "exploration_config.temperature",
            "beta_annealing_fraction": "prioritized_replay_beta_annealing_timesteps",
            "Q_model.hidden_activation": "Q_model.fcnet_activation",
            "Q_model.hidden_layer_sizes": "Q_model.fcnet_hiddens",
            "policy_model.hidden_activation": "policy_model.fcnet_activation",
            "policy_model.hidden_layer_sizes": "policy_model.fcnet_hiddens",
        }.items()
    ),
    Rule(
        "filter_clip",
        lambda clip, values: clip > 0 and values["config.observation_filter"] != "NoFilter",
        "must be more than 0, with config.observation_filter = MeanStdFilter or ConcurrentMeanStdFilter",
    ),
    Rule("replay_mb", lambda value, _: value >= 0, "must be 0 or more"),
    # Choices
    one_of("truncate_episodes complete_episodes", "config.batch_mode"),
    one_of("NoFilter MeanStdFilter ConcurrentMeanStdFilter", "config.observation_filter"),
    one_of("DEBUG INFO WARN ERROR", "config.log_level"),
    one_of("deepmind rllib", "config.preprocessor_pref"),
    one_of("adam rmsprop", "config.opt_type"),
    one_of(
        "tanh relu linear elu leaky_relu relu6 selu sigmoid softplus softsign swish",
        "config.model.fcnet_activation config.model.conv_activation",
    ),
    *SCHEDULES,
    # Ranges
    at_least(
        1,
        "max_run env_deadline hosts_deadline keep_checkpoints_num stop.training_iteration stop.timesteps_total "
        + "stop.episodes_total "
        + config(
            """
            num_envs_per_worker rollout_fragment_length train_batch_size sgd_minibatch_size
            num_sgd_iter horizon evaluation_interval evaluation_num_episodes
            metrics_smoothing_episodes buffer_size replay_buffer_size n_step num_atoms
            model.max_seq_len model.lstm_cell_size model.dim microbatch_size policy_delay
            broadcast_interval learner_queue_size max_sample_requests_in_flight_per_worker
            num_data_loader_buffers minibatch_buffer_size output_max_file_size
            """
        ),
    ),
    at_least(
        0,
        "checkpoint_freq "
        + config(
            """
            num_workers evaluation_num_workers num_gpus num_gpus_per_worker num_cpus_per_worker
            num_aggregation_workers min_iter_time_s timesteps_per_iteration collect_metrics_timeout
            remote_env_batch_wait_ms shuffle_buffer_size memory_per_worker
            object_store_memory_per_worker lr actor_lr critic_lr optimization.actor_learning_rate
            optimization.critic_learning_rate optimization.entropy_learning_rate l2_reg kl_coeff
            kl_target entropy_coeff vf_loss_coeff vf_coeff beta initial_alpha target_noise
            target_noise_clip learning_starts target_network_update_freq replay_buffer_num_slots
            replay_proportion prioritized_replay_alpha prioritized_replay_eps momentum sigma0
            """
        ),
    ),
    Rule(
        "stop.time_total_s "
        + config(
            """
            clip_param vf_clip_param grad_clip adam_epsilon epsilon vtrace_clip_rho_threshold
            vtrace_clip_pg_rho_threshold huber_threshold
            """
        ),
        lambda value, _: value > 0,
        "must be more than 0",
    ),
    Rule(
        config(
            """
            gamma lambda tau decay prioritized_replay_beta final_prioritized_replay_beta
            exploration_config.initial_epsilon exploration_config.final_epsilon
            """
        ),
        lambda value, _: 0 <= value <= 1,
        "must be 0 to 1",
    ),
    Rule(
        config(
            "model.fcnet_hiddens Q_model.fcnet_hiddens policy_model.fcnet_hiddens hiddens actor_hiddens critic_hiddens"
        ),
        lambda sizes, _: min(sizes, default=1) >= 1,
        "must be layers of 1 or more",
    ),
    # One value against another
    *(_least_workers(run, least) for run, least in LEAST_WORKERS.items()),
    Rule(
        "config.num_gpus_per_worker",
        lambda gpus, _: gpus <= 1 or gpus == int(gpus),
        "must be 0 to 1 or a whole number: Ray gives parts of one GPU alone",
    ),
    Rule(
        "config.num_workers",
        lambda workers, values: (
            workers == 0 or values["run"] not in PACKED_BY_WORKERS or values["config.compress_observations"]
        ),
        "%(run)s takes workers only with config.compress_observations = true",
    ),
    Rule(
        "config.sgd_minibatch_size",
        lambda size, values: size <= values["config.train_batch_size"],
        "must be at most config.train_batch_size, which is %(config.train_batch_size)s",
    ),
    Rule(
        "config.use_gae",
        lambda gae, values: gae or values["run"] != "PPO" or values["config.batch_mode"] == "complete_episodes",
        "must be true, unless config.batch_mode is complete_episodes",
    ),
    Rule(
        "config.batch_mode",
        lambda mode, values: mode == "truncate_episodes" or not values.get("config.vtrace"),
        "must be truncate_episodes, unless config.vtrace is false",
    ),
    Rule(
        "config.replay_buffer_num_slots",
        lambda slots, values: (
            not values["config.replay_proportion"]
            or slots * values["config.rollout_fragment_length"] > values["config.train_batch_size"]
        ),
        "times config.rollout_fragment_length (%(config.rollout_fragment_length)s) it must be more than "
        "config.train_batch_size (%(config.train_batch_size)s)",
    ),
    Rule(
        "config.num_aggregation_workers",
        lambda aggregators, values: aggregators <= values["config.num_workers"],
        "must be at most config.num_workers, which is %(config.num_workers)s",
    ),
    Rule("config.n_step", lambda steps, values: steps == 1 or values["run"] != "SAC", "must be 1 with SAC"),
    only(False, "config._use_beta_distribution", "must be false: Ray 0.8.5 has not written it yet"),
)

MACHINE_RULES = (
    Rule(
        "config.num_workers",
        lambda workers, values: workers <= values["machine.cpus"],
        "%(machine.has_cpus)s, so at most %(machine.cpus)s",
    ),
    Rule(
        "config.num_workers",
        lambda workers, values: workers >= 1 or values["machine.hosts"] == 1,
        "must be 1 or more: the job has %(machine.hosts)s hosts, and all but the first would idle",
    ),
    Rule(
        "config.num_workers",
        lambda _, values: _workers_fit_cpus(values),
        "with config.num_cpus_per_worker = %(config.num_cpus_per_worker)s and "
        "config.evaluation_num_workers = %(config.evaluation_num_workers)s that takes more than "
        "%(machine.whose_cpus)s",
    ),
    Rule(
        "config.num_gpus",
        lambda gpus, values: gpus <= values["machine.trainers_gpus"],
        "%(machine.trainers_host)s has %(machine.trainers_gpus)s GPUs, so at most %(machine.trainers_gpus)s",
    ),
    Rule(
        "config.num_gpus_per_worker",
        _workers_fit_gpus,
        "with config.num_workers = %(config.num_workers)s, config.evaluation_num_workers = "
        "%(config.evaluation_num_workers)s and config.num_gpus = %(config.num_gpus)s that takes more than "
        "%(machine.whose_gpus)s, of which a worker has a part of one or whole ones",
    ),
)
