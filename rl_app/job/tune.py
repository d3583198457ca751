"""Words of Tune's: metrics that stop a trial, and words that mean nothing here."""

from __future__ import annotations

from rl_app.job.settings import PLACES

COUNTED = ("training_iteration", "timesteps_total", "episodes_total", "time_total_s")
"""Of the stop conditions those that any job can pass, given time."""
STOPS = (
    *COUNTED,
    "episode_reward_mean",
    "episode_reward_max",
    "episode_reward_min",
    "episode_len_mean",
)

# Words of Tune's that mean nothing here, and what does that job.
SEARCHES = "a job is one trial; SageMaker's tuning jobs search"
CHECKPOINTS = "a job saves at its end, and exports its best checkpoint"
TUNES = {
    **dict.fromkeys(("num_samples", "search_alg", "scheduler", "grid_search", "reuse_actors"), SEARCHES),
    **dict.fromkeys(("queue_trials", "trial_executor", "resources_per_trial"), "a job has its machine to itself"),
    **dict.fromkeys(("checkpoint_at_end", "checkpoint_score_attr", "export_formats"), CHECKPOINTS),
    **dict.fromkeys(("restore", "resume", "max_failures"), "a job goes on from what it finds in its checkpoints"),
    **dict.fromkeys(("local_dir", "upload_dir", "sync_to_driver", "sync_to_cloud", "sync_on_checkpoint"), PLACES),
    **dict.fromkeys(("name", "trial_name_creator"), "the training job has a name of its own"),
    **dict.fromkeys(("loggers", "verbose", "progress_reporter"), "a job has its own display and log files"),
}
