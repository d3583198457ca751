"""Videos of some of the episodes, which are played again for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, List, Sequence

from rl_app.errors import JobError, UserError
from rl_app.evaluation.candidate import Say
from rl_app.evaluation.playing import most_steps
from rl_app.evaluation.rollouts import Rollout
from rl_app.job.settings import Evaluation
from rl_app.policy.episodes import steps
from rl_app.reports.live import VIDEOS
from rl_app.stopping.stop_request import StopRequest


def record(rollout: Rollout, settings: Evaluation, directory: Path, stop: StopRequest, say: Say) -> None:
    """Play some of the episodes again, for their videos; what prevents that is said and costs nothing else."""
    from rl_app.policy import videos

    most = min(videos.MOST_STEPS, most_steps(rollout, settings) or videos.MOST_STEPS)
    try:
        for index in chosen(rollout.rewards, settings.videos):
            episode = rollout.episodes[index]
            name = f"{rollout.candidate.name}-episode-{index + 1:03d}-reward-{episode.reward:.2f}.mp4"
            every, rate = videos.playback(rollout.env)
            (directory / VIDEOS).mkdir(exist_ok=True)
            drawn = videos.pictures(rollout.env, steps(rollout.env, rollout.player, episode.seed, most), every)
            videos.encode(until_stopped(drawn, stop), rate, directory / VIDEOS / name)
            about = {"file": f"{VIDEOS}/{name}", "episode": index + 1, "reward": episode.reward}
            rollout.videos.append(about)
    except NoTimeLeftError:
        say("no more videos: stopped as asked")
    except videos.NotRenderableError as error:
        say(f"no videos: env = {settings.env or rollout.facts['env']}: {error}")
    except (JobError, UserError) as error:
        say(f"no more videos: {error}")


class NoTimeLeftError(Exception):
    """A stop was asked for while a video was made."""


def until_stopped(pictures: Iterator[Any], stop: StopRequest) -> Iterator[Any]:
    """Yield the pictures, unless a stop is asked for."""
    for picture in pictures:
        if stop:
            raise NoTimeLeftError
        yield picture


def chosen(rewards: Sequence[float], many: int) -> List[int]:
    """Return the episodes to show: the best, the worst, the one in the middle, then the first ones."""
    ranked = sorted(range(len(rewards)), key=lambda index: -rewards[index])
    wanted = [ranked[0], ranked[-1], ranked[len(ranked) // 2]] if ranked else []
    return list(dict.fromkeys([*wanted, *range(len(rewards))]))[:many]
