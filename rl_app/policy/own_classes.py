"""A user's own classes for RLlib: networks, preprocessors, distributions of actions, and callbacks.

``models.py`` of a source has ``MODELS``, ``PREPROCESSORS`` and ``ACTION_DISTRIBUTIONS``, which go into RLlib's
catalog; ``callbacks.py`` has ``CALLBACKS``. Ray hands the catalog to its workers as pickles that name the module,
which each of them finds through PYTHONPATH.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence

from rl_app.errors import UserError
from rl_app.job import user_code
from rl_app.job.settings import PREFIX
from rl_app.job.values import joined, nearest, shown


class Kind(NamedTuple):
    """One kind of class in RLlib's catalog: the name of its registry in a source, and the catalog's words for it."""

    registry: str
    register: str
    category: str


KINDS: Mapping[str, Kind] = {
    "custom_model": Kind("MODELS", "register_custom_model", "rllib_model"),
    "custom_preprocessor": Kind("PREPROCESSORS", "register_custom_preprocessor", "rllib_preprocessor"),
    "custom_action_dist": Kind("ACTION_DISTRIBUTIONS", "register_custom_action_dist", "rllib_action_dist"),
}
"""By the setting of ``config.model`` that chooses one."""


@dataclass(frozen=True)
class OwnClasses:
    """The classes of a source by the setting that chooses them, and the callbacks of its jobs."""

    classes: Mapping[str, Mapping[str, type]] = field(default_factory=dict)
    callbacks: Optional[type] = None

    def check(self, config: Mapping[str, Any]) -> None:
        """Raise UserError where a trial's config chooses a class that is not there."""
        for setting, name in chosen(config).items():
            known, kind = self.classes.get(setting, {}), KINDS[setting]
            if name not in known and not _in_catalog(kind.category, name):
                hint = f"{nearest(str(name), known)}{kind.registry} has {joined(known)}"
                none = f"unknown: {kind.registry} of models.py, in the directory of --source, has the names"
                raise UserError(f"{PREFIX}config.model.{setting} = {shown(name)}: {hint if known else none}")

    def registered(self, config: Mapping[str, Any]) -> Dict[str, Any]:
        """Register all classes with RLlib; return the trainer's config with the callbacks, unless it has some."""
        from ray.rllib.models import ModelCatalog

        for setting, named in self.classes.items():
            for name, kind in named.items():
                getattr(ModelCatalog, KINDS[setting].register)(name, kind)
        callbacks = config.get("callbacks") or self.callbacks
        return {**config, "callbacks": callbacks} if callbacks else dict(config)


def _in_catalog(category: str, name: Any) -> bool:
    """Say whether the user's code has registered it with RLlib by itself, as it was imported."""
    registry = sys.modules.get("ray.tune.registry")
    return registry is not None and bool(registry._global_registry.contains(category, str(name)))


NO_CLASSES = OwnClasses()


def chosen(config: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the classes of the user's own that a trial's config chooses, by setting."""
    model = config.get("model") or {}
    ours = ("custom_model",) if model.get("use_lstm") else ()
    return {setting: model[setting] for setting in KINDS if model.get(setting) and setting not in ours}


def there(directory: Path) -> bool:
    """Say whether a source has classes for RLlib."""
    return any((directory / name).exists() for name in ("models.py", "callbacks.py"))


def load(directory: Optional[Path]) -> OwnClasses:
    """Import the classes of a source, if it has any. RLlib comes before them, as it has to configure TensorFlow.

    Raises:
        UserError: an import fails, or what is there is no class of RLlib's kind.
    """
    if directory is None or not there(directory):
        return NO_CLASSES
    from ray.rllib.agents.callbacks import DefaultCallbacks
    from ray.rllib.models.action_dist import ActionDistribution
    from ray.rllib.models.model import Model
    from ray.rllib.models.preprocessors import Preprocessor
    from ray.rllib.models.tf.tf_modelv2 import TFModelV2

    bases = dict(zip(KINDS, ((TFModelV2, Model), (Preprocessor,), (ActionDistribution,))))
    classes = {setting: _classes(directory, KINDS[setting].registry, base) for setting, base in bases.items()}
    return OwnClasses(classes, _callbacks(directory / "callbacks.py", DefaultCallbacks))


def _callbacks(file: Path, base: type) -> Optional[type]:
    if not file.exists():
        return None
    found: type = user_code.attribute(file, "CALLBACKS")
    _check(file, "CALLBACKS", found, (base,))
    return found


def _classes(directory: Path, registry: str, bases: Sequence[type]) -> Dict[str, type]:
    found = user_code.registry(directory, "models", registry, optional=True)
    for name, kind in found.items():
        _check(directory / "models.py", f"{registry}[{shown(name)}]", kind, bases)
    return found


def _check(file: Path, what: str, kind: Any, bases: Sequence[type]) -> None:
    if not isinstance(kind, type) or not issubclass(kind, tuple(bases)):
        one = f"a class that inherits from {bases[0].__module__}.{bases[0].__name__}"
        raise UserError(f"{file}: {what} must be {one}, and is {kind!r}")
