"""RLlib, imported with what a trial needs of it."""

from __future__ import annotations

import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Dict, List, Optional, Set, Tuple

from rl_app.garbage import uncollected

# RLlib's tables of algorithms by module. As it is imported it imports all that stand there, to register them with
# Tune, by whose names nobody asks here; that takes as long as a tenth of all its imports with TensorFlow's.
TABLES = {"ray.rllib.agents.registry": "ALGORITHMS", "ray.rllib.contrib.registry": "CONTRIBUTED_ALGORITHMS"}
# What RLlib imports for a few functions that most jobs never call; together it takes as much memory as Ray and Gym.
WHEN_USED = ("pandas", "scipy.signal", "tensorflow_probability")


def import_rllib() -> None:
    """Import RLlib without all its algorithms; ``get_agent_class`` finds each of them all the same.

    The modules of ``WHEN_USED`` are imported when something of theirs is asked for. Nobody asks how busy GPUs are.
    """
    if "ray.rllib" not in sys.modules:  # which a user's environment may have imported, whole
        with uncollected():
            _import_less()
    # With GPUtil, which is there for programs that import it, Tune starts nvidia-smi more than once a second, each time
    # by a fork of the trainer.
    importlib.import_module("ray.tune.utils.util").GPUtil = None  # type: ignore[attr-defined]


def _import_less() -> None:
    emptying, postponing = _Emptying(), _Postponing()
    sys.meta_path[:0] = [emptying, postponing]
    try:
        importlib.import_module("ray.rllib")
    finally:
        sys.meta_path.remove(emptying)
        sys.meta_path.remove(postponing)
        emptying.fill()


class _Emptying(MetaPathFinder):
    """Has the tables empty once they are imported, up to :meth:`fill`."""

    def __init__(self) -> None:
        self._emptied: List[Tuple[Dict[str, Any], Dict[str, Any]]] = []

    def find_spec(self, fullname: str, path: Any, target: Optional[ModuleType] = None) -> Optional[ModuleSpec]:
        """Return the module's own, with a loader that empties its table."""
        if fullname not in TABLES:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        assert spec is not None and spec.loader is not None
        execute = spec.loader.exec_module

        def execute_and_empty(module: ModuleType) -> None:
            execute(module)
            table = getattr(module, TABLES[fullname])
            self._emptied.append((table, dict(table)))
            table.clear()

        spec.loader.exec_module = execute_and_empty  # type: ignore[method-assign]
        return spec

    def fill(self) -> None:
        """Put back what was in the tables."""
        for table, content in self._emptied:
            table.update(content)


class _Postponing(MetaPathFinder, Loader):
    """Gives what stands for a module of ``WHEN_USED``, the first time that it is asked for one."""

    def __init__(self) -> None:
        self._given: Set[str] = set()

    def find_spec(self, fullname: str, path: Any, target: Optional[ModuleType] = None) -> Optional[ModuleSpec]:
        """Return the module's own, with this as its loader."""
        if fullname not in WHEN_USED or fullname in self._given:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None:
            self._given.add(fullname)
            spec.loader = self
        return spec

    def exec_module(self, module: ModuleType) -> None:
        """Have the module import itself later; without a path, so does the import of a module inside of it."""
        vars(module).pop("__path__", None)
        module.__class__ = _Postponed


class _Postponed(ModuleType):
    """Stands for a module up to the first time that something of it is asked for, and hands that on."""

    def __getattr__(self, name: str) -> Any:
        """Return what the module has by that name."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)

    def __reduce__(self) -> Tuple[Any, ...]:
        """Have a pickle of what uses the module name it, as cloudpickle does for any other."""
        return importlib.import_module, (self.__name__,)
