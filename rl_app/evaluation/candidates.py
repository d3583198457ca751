"""The models that an evaluation compares, the environment they play in, and each ready to play."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, Sequence

from rl_app.envs.contract.agents import SPACES
from rl_app.errors import UserError
from rl_app.evaluation import agents
from rl_app.evaluation.candidate import Candidate, EvalEnv, Say
from rl_app.evaluation.rollouts import Rollout
from rl_app.job.sagemaker import MODEL
from rl_app.job.settings import Evaluation
from rl_app.masking import masks
from rl_app.policy.facts import env_config_of, names_several
from rl_app.policy.loading import read_facts
from rl_app.policy.policies import model_of, player_in
from rl_app.policy.restored_agent import facts_of, params_of, restored
from rl_app.spaces.description import outline
from rl_app.storage import artifacts

if TYPE_CHECKING:
    from rl_app.envs.contract.creation import Creator


def models_of(channels: Mapping[str, Path]) -> Mapping[str, Path]:
    """Return the channels that hold a model each: the one called ``model``, or all where there is none."""
    return {MODEL: channels[MODEL]} if MODEL in channels else channels


def read(name: str, channel: Path, directory: Path) -> Candidate:
    """Return what the model's own files say of it; raises UserError where one of them cannot be read."""
    file = directory / artifacts.POLICY
    facts = read_facts(file) if file.exists() else {}
    # A model alone is in the channel `model`, which says nothing of it
    own = facts.get("training", {}).get("job") if name == MODEL else None
    return Candidate(own or name, channel, directory, facts, params_of(directory))


def algorithm_of(candidate: Candidate, settings: Evaluation) -> str:
    """By which the model was trained; raises UserError where nothing says so, or the job says another."""
    algorithm = candidate.facts.get("algorithm", settings.algorithm)
    if algorithm is None:
        raise UserError(f"algorithm: {candidate.name} does not say by which it was trained: give algorithm=PPO, …")
    if settings.algorithm not in (None, algorithm):
        raise UserError(f"algorithm = {settings.algorithm}: but {candidate.name} was trained by {algorithm}")
    return str(algorithm)


def env_of(candidates: Sequence[Candidate], settings: Evaluation, envs: Mapping[str, Callable[..., Any]]) -> EvalEnv:
    """Return the environment that is asked for, else that in which the models were trained.

    Raises:
        UserError: they were trained in different ones, or none says in which; or there is no such environment.
    """
    from rl_app.envs.contract.checked import Manner, no_spaces
    from rl_app.envs.contract.creation import creator

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
        env_config = dict(env_config_of(known[0])) if trained_there else {}
    spaces = next((agents.TrainedSpaces(each) for each in candidates if names_several(each.facts)), no_spaces)
    manner = Manner(settings.env_deadline, settings.strict_spaces, drawn=True, spaces=spaces)
    own, rllibs = (creator(name, envs=envs, manner=manner._replace(as_rllib=as_rllib)) for as_rllib in (False, True))
    return EvalEnv(name, env_config, own, rllibs)


@contextmanager
def ready_to_play(candidate: Candidate, played_in: EvalEnv, settings: Evaluation, say: Say) -> Iterator[Rollout]:
    """Yield the candidate ready to play, as it was exported; by restoring its agent where that is asked for.

    Raises:
        UserError: the model lacks a file, or does not fit the environment or the settings.
    """
    as_exported = bool(candidate.facts) and not settings.restore
    env = made(candidate, played_in, played_in.create if as_exported else played_in.create_for_rllib)
    try:
        if as_exported:
            yield exported(candidate, env, played_in, settings)
            return
        say(f"{candidate.name}: {warning(candidate)}")
        if candidate.facts:
            check_spaces(candidate, env, played_in)
        algorithm = algorithm_of(candidate, settings)
        arguments = (
            candidate.directory,
            algorithm,
            candidate.params,
            played_in.name,
            played_in.create_for_rllib,
            played_in.env_config,
        )
        with restored(*arguments) as trainer:
            player = agents.restored(trainer, env, settings.deterministic)
            yield Rollout(candidate, candidate.facts or facts_of(trainer), "ray", player, env)
    finally:
        env.close()


def made(candidate: Candidate, played_in: EvalEnv, create: Creator) -> Any:
    """Make the environment; raises UserError where it is refused, which says so where a masked value may be why."""
    try:
        return create(played_in.env_config)
    except UserError as error:
        keys = ", ".join(masks(played_in.env_config))
        if not keys:
            raise
        raise UserError(
            f"{error}; env_config: {candidate.name} has only a mask for {keys}, which may be secret: "
            "give the values, as env_config={…}"
        ) from error


def warning(candidate: Candidate) -> str:
    """Return what is loaded, where that is code."""
    why = "" if candidate.facts else f"has no {artifacts.POLICY}, so its agent is restored with Ray: "
    return (
        f"{why}loading {artifacts.CHECKPOINT} of the model in {candidate.channel}, a pickle: "
        "loading one runs what code is in it, so load only what you trust"
    )


def exported(candidate: Candidate, env: Any, played_in: EvalEnv, settings: Evaluation) -> Rollout:
    """Return the candidate's exported policy, ready to play."""
    model = model_of(candidate.directory)
    check_spaces(candidate, env, played_in)
    if not settings.deterministic and model.unsampled is not None:
        raise UserError(f"deterministic = false: {model.unsampled}")
    return Rollout(candidate, candidate.facts, model.engine, player_in(env, model, settings.deterministic), env)


def check_spaces(candidate: Candidate, env: Any, played_in: EvalEnv) -> None:
    """Refuse an environment that the policy cannot see or act in."""
    if names_several(candidate.facts):
        agents.check_spaces(candidate, env, played_in.name)
        return
    for kind, there in zip(SPACES, agents.common_spaces(env, played_in.name)):
        trained = candidate.facts[kind]
        if outline(there) != outline(trained):
            raise UserError(
                f"env = {played_in.name}: its {kind} is {json.dumps(outline(there))}, but {candidate.name} was trained "
                f"with {json.dumps(outline(trained))}"
            )
