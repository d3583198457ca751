"""The command ``evaluate``: plays episodes with a trained policy, and says what they are worth.

It runs the exported policy, without Ray and TensorFlow; or the agent that Ray restores from its checkpoint, where
that is asked for, and where a model has no policy.json.
"""

from __future__ import annotations

import json
import math
import os
import socket
import sys
import tempfile
import time
import traceback
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, TextIO

from rl_app import artifacts, disk, evaluation_page, export, hyperparameters, report, sagemaker, source, summaries
from rl_app.console import capture
from rl_app.envs import ENVS
from rl_app.episodes import Exported, Player, seeds, steps
from rl_app.errors import JobError, UserError, reason_of
from rl_app.hyperparameters import Evaluation
from rl_app.machine import detect
from rl_app.policies import Policy, read_facts
from rl_app.restoring import Restored, check_files, facts_of, params_of, restored
from rl_app.sagemaker import Contract, Paths
from rl_app.spaces import describe, outline
from rl_app.stopping import StopRequest
from rl_app.store import fetch

if TYPE_CHECKING:
    from rl_app.envs.creation import Creator

EVALUATION = "evaluation.json"
ALONE = "model"
EPISODE_GRACE_S = 10.0
"""How long an episode may go on after a stop was asked for."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Candidate:
    """A model to evaluate, of ``channel``; ``facts`` are its policy.json, {} where a launcher of AWS's made it."""

    name: str
    channel: Path
    directory: Path
    facts: Mapping[str, Any]
    params: Mapping[str, Any]


class World(NamedTuple):
    """The environment in which all candidates play."""

    name: str
    env_config: Mapping[str, Any]
    create: Creator


class Episode(NamedTuple):
    """``cut``: after ``max_steps``, before the environment said that it was done."""

    seed: int
    reward: float
    length: int
    cut: bool


@dataclass
class Seat:
    """A candidate that plays, with the environment of its own and what it has done so far."""

    candidate: Candidate
    facts: Mapping[str, Any]
    engine: str
    player: Player
    env: Any
    episodes: List[Episode] = field(default_factory=list)
    videos: List[Dict[str, Any]] = field(default_factory=list)

    @property
    def rewards(self) -> List[float]:
        return [episode.reward for episode in self.episodes]


def command() -> int:
    """What the image runs for ``evaluate``: a training job over ``/opt/ml`` whose channels each hold a model.

    Returns:
        The exit status: 0 also where it was stopped, 2 for what the user can fix, 1 for everything else.
    """
    paths, errors = sagemaker.paths(), duplicate(sys.stderr)
    with suppress(ImportError):  # the notice that this Gym is old, which every run would begin with
        from gym_notices.notices import notices  # type: ignore[import-untyped]

        notices.clear()
    # Gym's environments draw with pygame, which this keeps off the screen.
    for name, value in (("SDL_VIDEODRIVER", "dummy"), ("SDL_AUDIODRIVER", "dummy"), ("TF_CPP_MIN_LOG_LEVEL", "2")):
        os.environ.setdefault(name, value)
    try:
        contract = sagemaker.read_config(paths)
        sagemaker.make_output_directories(paths)
        evaluate(contract, paths, duplicate(sys.stdout))
        return 0
    except Exception as error:
        reason = reason_of(error)
        sagemaker.write_failure(paths, reason)
        if isinstance(error, UserError):
            print(reason, file=errors)
            return error.errno
        traceback.print_exc(file=errors)
        return 1
    finally:
        disk.release(paths.output)
        sagemaker.give_to_owner(paths)


def duplicate(stream: TextIO) -> TextIO:
    """The same stream, wherever its file descriptor is sent later."""
    return os.fdopen(os.dup(stream.fileno()), "w", buffering=1)


def evaluate(contract: Contract, paths: Paths, terminal: TextIO) -> None:
    """Plays the episodes that the hyperparameters ask for; leaves evaluation.json, videos and the report.

    Raises:
        UserError: what the user can fix.
    """
    started = time.time()
    settings = checked(contract)
    own = source.prepare(contract, paths, fetch)

    def say(line: str) -> None:
        print(line, file=terminal, flush=True)

    with tempfile.TemporaryDirectory() as scratch, StopRequest() as stop, ExitStack() as stack:
        candidates = [
            read(name, channel, artifacts.opened(channel, Path(scratch) / name))
            for name, channel in contract.channels.items()
        ]
        world = world_of(candidates, settings, {**ENVS, **own.envs})
        for each in candidates:
            algorithm_of(each, settings)
        pickled = [each for each in candidates if settings.restore or not each.facts]
        for each in pickled:
            check_files(each.directory)
        if pickled:
            capture(paths.output_data / "evaluate.log")
            stack.enter_context(ray_running())
        seats: List[Seat] = []
        state = "Failed"
        try:
            for each in candidates:
                seats.append(stack.enter_context(seated(each, world, settings, say)))
            for seat in seats:
                play(seat, settings, stop, say)
            for line in evaluation_page.lines(results(seats)):
                say(line)
            for seat in seats:
                record(seat, settings, paths.output_data, stop, say)
            state = "Stopped" if stop else "Completed"
        finally:
            if seats:
                about = {
                    "job": contract.job_name or "job",
                    "state": state,
                    "started": started,
                    "time_s": time.time() - started,
                    "settings": asdict(settings),
                    "env": {"name": world.name, "env_config": dict(world.env_config)},
                }
                leave({**about, **results(seats), **surroundings()}, paths.output_data)


def checked(contract: Contract) -> Evaluation:
    """The settings of the job; raises UserError."""
    if contract.program:
        raise UserError(f"sagemaker_program = {contract.program}: evaluate runs no program; train does")
    if contract.hyperparameters.get("command", "evaluate") != "evaluate":
        raise UserError(f"command = {contract.hyperparameters['command']}: but the container was started to evaluate")
    if not contract.channels:
        raise UserError("no channel: an evaluation finds its model in the channel `model`")
    return hyperparameters.parse_evaluation(contract.hyperparameters)


def read(name: str, channel: Path, directory: Path) -> Candidate:
    """What the model's own files say of it; raises UserError where one of them cannot be read."""
    file = directory / artifacts.POLICY
    facts = read_facts(file) if file.exists() else {}
    # A model alone is in the channel `model`, which says nothing of it
    own = facts.get("training", {}).get("job") if name == ALONE else None
    return Candidate(own or name, channel, directory, facts, params_of(directory))


def algorithm_of(candidate: Candidate, settings: Evaluation) -> str:
    """By which the model was trained; raises UserError where nothing says so, or the job says another."""
    algorithm = candidate.facts.get("algorithm", settings.algorithm)
    if algorithm is None:
        raise UserError(f"algorithm: {candidate.name} does not say by which it was trained: give algorithm=PPO, …")
    if settings.algorithm not in (None, algorithm):
        raise UserError(f"algorithm = {settings.algorithm}: but {candidate.name} was trained by {algorithm}")
    return str(algorithm)


def world_of(candidates: Sequence[Candidate], settings: Evaluation, envs: Mapping[str, Callable[..., Any]]) -> World:
    """The environment that is asked for, else that in which the models were trained.

    Raises:
        UserError: they were trained in different ones, or none says in which; or there is no such environment.
    """
    from rl_app.envs.creation import creator

    known = [{"env_config": {}, **each.params, **each.facts} for each in candidates]
    name = settings.env or known[0].get("env")
    if not isinstance(name, str):
        raise UserError(f"env: {candidates[0].name} does not say in which environment it was trained: give env=NAME")
    for each, about in zip(candidates, known):
        if settings.env is None and about.get("env") != name:
            raise UserError(
                f"env: {candidates[0].name} was trained in {name}, {each.name} in {about.get('env')}: "
                "give the one to compare them in, as env=NAME"
            )
    trained_there = settings.env in (None, known[0].get("env"))
    env_config = settings.env_config
    if env_config is None:
        env_config = known[0]["env_config"] if trained_there else {}
    return World(name, env_config, creator(name, envs=envs, deadline_s=settings.env_deadline))


@contextmanager
def ray_running() -> Iterator[None]:
    """Ray on this machine, which is only then imported."""
    from rl_app import cluster

    with cluster.running(detect()):
        yield


@contextmanager
def seated(candidate: Candidate, world: World, settings: Evaluation, say: Say) -> Iterator[Seat]:
    """The candidate ready to play, as it was exported; by restoring its agent where that is asked for.

    Raises:
        UserError: the model lacks a file, or does not fit the environment or the settings.
    """
    env = world.create(world.env_config)
    try:
        if candidate.facts and not settings.restore:
            yield exported(candidate, env, world, settings)
            return
        say(f"{candidate.name}: {warning(candidate)}")
        if candidate.facts:
            check_spaces(candidate, env, world)
        algorithm = algorithm_of(candidate, settings)
        arguments = (candidate.directory, algorithm, candidate.params, world.name, world.create, world.env_config)
        with restored(*arguments) as trainer:
            player = Restored(trainer, env, settings.deterministic)
            yield Seat(candidate, candidate.facts or facts_of(trainer), "ray", player, env)
    finally:
        env.close()


def warning(candidate: Candidate) -> str:
    """What is loaded, where that is code."""
    why = "" if candidate.facts else f"has no {artifacts.POLICY}, so its agent is restored with Ray: "
    return (
        f"{why}loading {artifacts.CHECKPOINT} of the model in {candidate.channel}, a pickle: "
        "loading one runs what code is in it, so load only what you trust"
    )


def exported(candidate: Candidate, env: Any, world: World, settings: Evaluation) -> Seat:
    """The candidate's exported policy, ready to play."""
    policy = Policy.load(candidate.directory)
    check_spaces(candidate, env, world)
    if not settings.deterministic and policy.unsampled is not None:
        raise UserError(f"deterministic = false: {policy.unsampled}")
    return Seat(candidate, candidate.facts, policy.engine, Exported(policy, settings.deterministic), env)


def check_spaces(candidate: Candidate, env: Any, world: World) -> None:
    """Refuses an environment that the policy cannot see or act in."""
    for kind in ("observation_space", "action_space"):
        there, trained = describe(getattr(env, kind)), candidate.facts[kind]
        if outline(there) != outline(trained):
            raise UserError(
                f"env = {world.name}: its {kind} is {json.dumps(outline(there))}, but {candidate.name} was trained "
                f"with {json.dumps(outline(trained))}"
            )


# ---- playing


def play(seat: Seat, settings: Evaluation, stop: StopRequest, say: Say) -> None:
    """Plays the episodes, each said in the words of AWS's evaluation script, up to the one in which it is stopped."""
    facts, kind = seat.facts, "best" if settings.deterministic else "sampled"
    env = settings.env or facts["env"]
    say(f"{seat.candidate.name}: {facts['algorithm']} in {env}, {kind} actions, played by {seat.engine}")
    for seed in seeds(settings.seed, settings.evaluate_episodes):
        episode = None if stop else played(seat, seed, settings, stop)
        if episode is None:
            say(f"stopped as asked, after {len(seat.episodes)} of {settings.evaluate_episodes} episodes")
            break
        seat.episodes.append(episode)
        say(f"Episode reward: {episode.reward}. Episode steps: {episode.length}")
    if seat.episodes:
        say(f"Mean Reward: {fmean(seat.rewards)}")
        say(f"Max Reward: {max(seat.rewards)}")
        say(f"Min Reward: {min(seat.rewards)}")
        # for SageMaker, which finds metrics by their training's names
        say(f"episode_reward_mean: {fmean(seat.rewards):.2f}  episode_reward_max: {max(seat.rewards):.2f}")


def played(seat: Seat, seed: int, settings: Evaluation, stop: StopRequest) -> Optional[Episode]:
    """One episode; None where a stop was asked for and it did not end soon."""
    reward, step, deadline = 0.0, None, math.inf
    for step in steps(seat.env, seat.player, seed, most_steps(seat, settings)):
        reward += step.reward
        if stop and not step.done:
            deadline = min(deadline, time.monotonic() + EPISODE_GRACE_S)
            if time.monotonic() > deadline:
                return None
    assert step is not None
    return Episode(seed, reward, step.number, not step.done)


def most_steps(seat: Seat, settings: Evaluation) -> Optional[int]:
    """After how many steps an episode is cut; as in the training, where nothing else is asked for."""
    return settings.max_steps or seat.candidate.params.get("horizon")


def record(seat: Seat, settings: Evaluation, directory: Path, stop: StopRequest, say: Say) -> None:
    """Plays some of the episodes again, for their videos; what prevents that is said and costs nothing else."""
    from rl_app import videos

    most = min(videos.MOST_STEPS, most_steps(seat, settings) or videos.MOST_STEPS)
    try:
        for index in chosen(seat.rewards, settings.videos):
            episode = seat.episodes[index]
            name = f"{seat.candidate.name}-episode-{index + 1:03d}-reward-{episode.reward:.2f}.mp4"
            every, rate = videos.playback(seat.env)
            (directory / report.VIDEOS).mkdir(exist_ok=True)
            drawn = videos.pictures(seat.env, steps(seat.env, seat.player, episode.seed, most), every)
            videos.encode(until_stopped(drawn, stop), rate, directory / report.VIDEOS / name)
            about = {"file": f"{report.VIDEOS}/{name}", "episode": index + 1, "reward": episode.reward}
            seat.videos.append(about)
    except NoTimeLeftError:
        say("no more videos: stopped as asked")
    except videos.NotRenderableError as error:
        say(f"no videos: env = {settings.env or seat.facts['env']}: {error}")
    except (JobError, UserError) as error:
        say(f"no more videos: {error}")


class NoTimeLeftError(Exception):
    """A stop was asked for while a video was made."""


def until_stopped(pictures: Iterator[Any], stop: StopRequest) -> Iterator[Any]:
    """The pictures, unless a stop is asked for."""
    for picture in pictures:
        if stop:
            raise NoTimeLeftError
        yield picture


def chosen(rewards: Sequence[float], many: int) -> List[int]:
    """The episodes to show: the best, the worst, the one in the middle, then the first ones."""
    ranked = sorted(range(len(rewards)), key=lambda index: -rewards[index])
    wanted = [ranked[0], ranked[-1], ranked[len(ranked) // 2]] if ranked else []
    return list(dict.fromkeys([*wanted, *range(len(rewards))]))[:many]


# ---- what is left


def results(seats: Sequence[Seat]) -> Dict[str, Any]:
    """Of each model its episodes and their statistics, and of each but the first what it is better by."""
    return {
        "models": [
            {
                "model": seat.candidate.name,
                "played_by": seat.engine,
                **summaries.summary(seat.rewards),
                "episodes": [episode._asdict() for episode in seat.episodes],
                "videos": seat.videos,
                "policy": {key: value for key, value in seat.facts.items() if key != "observation_filter"},
            }
            for seat in seats
        ],
        "differences": [
            {
                "model": seat.candidate.name,
                "against": seats[0].candidate.name,
                **summaries.difference(seats[0].rewards, seat.rewards),
            }
            for seat in seats[1:]
        ],
    }


def surroundings() -> Dict[str, Any]:
    """With what, and where."""
    return {
        "versions": export.versions(),
        "machine": {"host": socket.gethostname(), **report.machine_facts(detect())},
    }


def leave(evaluation: Mapping[str, Any], directory: Path) -> None:
    """Writes evaluation.json and report.html, each beside and then renamed."""
    page = evaluation_page.render(evaluation, directory)
    for name, text in ((EVALUATION, evaluation_page.dumped(evaluation)), (report.REPORT, page)):
        beside = directory / f".tmp-{name}"
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, directory / name)
