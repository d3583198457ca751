"""RLlib, imported with what a trial needs of it."""

from __future__ import annotations

import importlib
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Dict, List, Optional, Tuple

# RLlib's tables of algorithms by module. As it is imported it imports all that stand there, to register them with
# Tune, by whose names nobody asks here; that takes as long as a tenth of all its imports with TensorFlow's.
TABLES = {"ray.rllib.agents.registry": "ALGORITHMS", "ray.rllib.contrib.registry": "CONTRIBUTED_ALGORITHMS"}


def import_rllib() -> None:
    """Import RLlib without all its algorithms; ``get_agent_class`` finds each of them all the same."""
    if "ray.rllib" in sys.modules:
        return
    emptying = _Emptying()
    sys.meta_path.insert(0, emptying)
    try:
        importlib.import_module("ray.rllib")
    finally:
        sys.meta_path.remove(emptying)
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
