"""A trained policy as files that need no Ray: a frozen SavedModel, the same as ONNX, and policy.json.

RLlib 0.8.5's own export samples its action (``is_exploring`` is not in its signature), leaves the observation
filter out and carries the training graph. This one is the inference graph alone, deterministic, frozen.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, Mapping, Optional, Tuple

from rl_app import plain
from rl_app.files import TEMPORARY, scratch_folder
from rl_app.job.agents import ONE, POLICIES
from rl_app.masking import masked
from rl_app.policy import soundness
from rl_app.policy.facts import ENV_LITERAL
from rl_app.policy.freezing import FrozenPolicy, MeanStd, freeze, mean_std
from rl_app.policy.onnx_conversion import import_graph, sampled_outputs, used_inputs, write_onnx_if_it_agrees
from rl_app.policy.several import Several
from rl_app.spaces.description import Space, describe
from rl_app.storage.artifacts import POLICY

if TYPE_CHECKING:
    from rl_app.training.checkpoints import Checkpoint

VERSIONS_OF = ("ray", "tensorflow-cpu", "tensorflow", "gym", "numpy", "onnx", "tf2onnx")


def export(trainer: Any, directory: Path, checkpoint: Checkpoint, training: Mapping[str, Any]) -> None:
    """Write what the design calls the model into ``directory``, each part beside first and then renamed.

    Of several policies each has a folder of its own in ``policies``, and policy.json names them.

    Args:
        trainer: an RLlib trainer in the state of ``checkpoint``.
        directory: ``/opt/ml/model``.
        checkpoint: copied under the names that AWS's evaluation script looks for.
        training: facts of the run for policy.json (iteration, reward, seed, …).
    """
    with scratch_folder(directory / f"{TEMPORARY}export") as beside:
        for name, folder in folders(trainer, beside):
            write_policy(trainer, name, folder, training)
        config, several = trainer.raw_user_config, several_of(trainer)
        if several:
            write_json(beside / POLICY, several_facts(trainer, several, training))
            config = several.written(config)
        write_json(beside / "params.json", plain.data(masked(config)))
        shutil.copy(str(checkpoint.path), str(beside / "checkpoint"))
        shutil.copy(f"{checkpoint.path}.tune_metadata", str(beside / "checkpoint.tune_metadata"))
        for made in beside.iterdir():
            target = directory / made.name
            if target.is_dir():
                shutil.rmtree(target)
            os.replace(made, target)


def several_of(trainer: Any) -> Optional[Several]:
    """Return what the policies of a trainer are; None where it has one without a name, as an agent made elsewhere."""
    several: Optional[Several] = getattr(trainer, "several", None)
    return several and several.as_played(trainer)


def folders(trainer: Any, directory: Path) -> Iterator[Tuple[str, Path]]:
    """Yield each policy of a trainer and its folder of a model, made; the model's own where the policy has no name."""
    several = several_of(trainer)
    for name in several.spaces if several else (ONE,):
        folder = directory / POLICIES / name if several else directory
        folder.mkdir(parents=True, exist_ok=True)
        yield name, folder


def write_policy(trainer: Any, name: str, directory: Path, training: Mapping[str, Any]) -> None:
    """Write one policy of a trainer: its SavedModel, the same as ONNX, and policy.json."""
    policy = trainer.get_policy(name)
    frozen, observation_filter = freeze(policy), mean_std(trainer, name)
    soundness.check_actions(sampled_outputs(policy, frozen)[1])
    write_saved_model(frozen, observation_filter, directory / "1")
    write_onnx_if_it_agrees(policy, frozen, directory / "policy.onnx")
    write_json(directory / POLICY, policy_facts(trainer, frozen, observation_filter, training, name))


def write_saved_model(frozen: FrozenPolicy, observation_filter: Optional[MeanStd], directory: Path) -> None:
    """Write TensorFlow Serving's SavedModel, with default attributes stripped so that TensorFlow 2.1 loads it."""
    from ray.rllib.utils import try_import_tf

    tf = try_import_tf()
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = {
            name: tf.placeholder_with_default(tf.constant(False), [], name)
            if name == "is_training"
            else tf.placeholder(dtype, shape, name)
            for name, (dtype, shape) in frozen.placeholders.items()
        }
        fed = dict(inputs)
        if observation_filter is not None:
            wide = tf.cast(inputs["observations"], tf.float64)
            mean, std = (
                tf.reshape(tf.constant(values, tf.float64), inputs["observations"].shape[1:])
                for values in (observation_filter.mean, observation_filter.std)
            )
            filtered = (wide - mean) / (std + 1e-8)
            if observation_filter.clip is not None:
                filtered = tf.clip_by_value(filtered, -observation_filter.clip, observation_filter.clip)
            fed["observations"] = tf.cast(filtered, tf.float32)
        outputs = import_graph(tf, frozen, fed)
        signature = tf.saved_model.predict_signature_def(inputs, outputs)
        builder = tf.saved_model.Builder(str(directory))
        builder.add_meta_graph_and_variables(
            session, ["serve"], signature_def_map={"serving_default": signature}, strip_default_attrs=True
        )
        builder.save()


def policy_facts(
    trainer: Any,
    frozen: FrozenPolicy,
    observation_filter: Optional[MeanStd],
    training: Mapping[str, Any],
    name: str = ONE,
) -> Dict[str, Any]:
    """Return all that evaluate and serve need to know of a policy, as plain data."""
    policy, config = trainer.get_policy(name), trainer.config
    observation_space, action_space = _declared(trainer, name)
    preprocessor = trainer.workers.local_worker().preprocessors[name]
    return {
        **common_facts(trainer, training),
        "observation_space": observation_space,
        "action_space": action_space,
        "observation_size": int(preprocessor.size),
        "observation_filter": None if observation_filter is None else observation_filter._asdict(),
        "action_distribution": _name_of(policy.dist_class),
        "normalize_actions": config["normalize_actions"],
        "clip_actions": config["clip_actions"],
        "state_sizes": [int(tensor.shape[-1]) for tensor in policy._state_inputs],
        "inputs": used_inputs(frozen),
        "outputs": list(frozen.outputs),
    }


def several_facts(trainer: Any, several: Several, training: Mapping[str, Any]) -> Dict[str, Any]:
    """Return what is to be known of a model with several policies: which there are, and whose each of them is."""
    return {**common_facts(trainer, training), "policies": list(several.spaces), "policy_mapping": dict(several.table)}


def common_facts(trainer: Any, training: Mapping[str, Any]) -> Dict[str, Any]:
    """Return what is to be known of a trainer, whatever its policies are."""
    config = trainer.config
    env_config = masked(config["env_config"])
    literal = plain.literal(env_config)
    return {
        "algorithm": trainer._name,
        "env": config["env"],
        "env_config": plain.data(env_config),
        **({ENV_LITERAL: literal} if literal else {}),
        "seed": config["seed"],
        "training": dict(training),
        "versions": versions(),
    }


def _declared(trainer: Any, name: str) -> Tuple[Space, Space]:
    """Return the environment's own spaces, not what RLlib was shown; an agent made elsewhere was shown its own."""
    worker = trainer.workers.local_worker()
    several = several_of(trainer)
    if several:
        return several.spaces[name]
    found: Optional[Tuple[Space, Space]] = getattr(worker.env, "declared", None)
    return found or (describe(worker.preprocessors[name]._obs_space), describe(trainer.get_policy(name).action_space))


def _name_of(dist_class: Any) -> str:
    """Return the name of RLlib's class; of another, which none of RLlib's names may stand for, with its module."""
    kind = getattr(dist_class, "func", dist_class)  # MultiDiscrete and Tuple actions have a partial of the class
    return str(kind.__name__ if kind.__module__.startswith("ray.rllib.") else f"{kind.__module__}.{kind.__name__}")


@lru_cache(maxsize=None)  # to find a package's takes a fifth of a checkpoint's time
def versions() -> Mapping[str, str]:
    """Return the versions of what made the policy."""
    installed = {"python": platform.python_version()}
    for name in VERSIONS_OF:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


def write_json(file: Path, data: Mapping[str, Any]) -> None:
    """Write data of Python's, where text stands for what is no JSON."""
    file.write_text(json.dumps(data, indent=2, sort_keys=True, default=str) + "\n")
