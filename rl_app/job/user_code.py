"""A user's own code: environments and experiments merged into ours, and the packages that they need.

Networks and what else RLlib is given by class stand in :mod:`rl_app.policy.own_classes`, which imports RLlib.

It lies in ``/opt/ml/code``, as SageMaker's local mode mounts it, or where ``sagemaker_submit_directory`` says
(a directory, a tar archive, or one in S3), as SageMaker's estimators upload it, or in the channel ``code``, as its
SDK 3 hands it over.
"""

from __future__ import annotations

import importlib
import os
import site
import sys
import sysconfig
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from rl_app.errors import UserError, beside, blame
from rl_app.experiments import EXPERIMENTS
from rl_app.experiments.experiment import Entry
from rl_app.garbage import uncollected
from rl_app.job import requirements
from rl_app.job.sagemaker import SOURCE_FILES, Contract, Paths
from rl_app.storage import archives, layout

NEEDED = ("gym", "numpy", "ray", "rl_app", "tensorflow")
"""What every job imports besides what is imported already, by names that a module of a source cannot have."""

Download = Callable[[str, Path], None]


@dataclass(frozen=True)
class Source:
    """The registries of a job: ours with the user's merged in."""

    directory: Optional[Path] = None
    envs: Dict[str, Callable[..., Any]] = field(default_factory=dict)
    experiments: Mapping[str, Entry] = field(default_factory=lambda: EXPERIMENTS)


def prepare(contract: Contract, paths: Paths, download: Download, say: Callable[[str], object]) -> Source:
    """Stage the user's code, if the job has any, installs what it needs, and imports what is no program.

    Args:
        say: is told what takes its time.

    Raises:
        UserError: the archive, its requirements or its modules are no good; names the file and line of the
            user's own code.
    """
    whose = requirements.whose(contract)
    directory = stage(contract, paths, download)
    if directory is None:
        return Source()
    install_requirements(directory, paths.packages, whose, say)
    return Source(directory) if contract.program else load(directory)


def stage(contract: Contract, paths: Paths, download: Download) -> Optional[Path]:
    """Return the directory with the user's code; None where the job has none. A filled ``code`` comes first."""
    if paths.code.is_dir() and any(paths.code.iterdir()):
        return paths.code
    place = contract.hyperparameters.get("sagemaker_submit_directory")
    if not place:
        return contract.code
    if place.startswith("s3://"):
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / layout.SOURCE_ARCHIVE
            download(place, archive)
            unpack(archive, paths.code)
        return paths.code
    if Path(place).is_dir():
        return Path(place)
    unpack(Path(place), paths.code)
    return paths.code


def contents(directory: Path) -> List[Path]:
    """Return what of a source directory goes with a job: all but hidden files and byte code.

    Raises:
        UserError: no such directory, or none of the files in it that make it a source; or as :func:`check_packable`.
    """
    if not directory.is_dir():
        raise UserError(f"--source {directory}: there is no such directory")
    _check_source(directory)
    found = sorted(path for path in directory.iterdir() if not _left_behind(path.name))
    check_packable(found, (directory.resolve(),))
    return found


def check_packable(paths: Sequence[Path], within: Sequence[Path] = ()) -> None:
    """Refuse what an archive cannot hold of files and folders, all the way down.

    Args:
        within: the folders that they lie in.

    Raises:
        UserError: the first link that leads nowhere, or to a folder that it lies in; or what is no file.
    """
    for path in paths:
        real = path.resolve() if path.is_dir() else path
        if real in within:
            raise UserError(f"{path}: a link to a folder that it lies in: remove it")
        if path.is_dir():
            inside = [child for child in sorted(path.iterdir()) if not _left_behind(child.name)]
            check_packable(inside, (*within, real))
        elif not path.is_file():
            raise UserError(
                f"{path}: {'no file or folder' if path.exists() else 'a link that leads nowhere'}: remove it"
            )


def pack(paths: Sequence[Path], archive: Path) -> None:
    """Pack files and folders, each under its own name, as SageMaker's estimators do."""

    def own(member: tarfile.TarInfo) -> Optional[tarfile.TarInfo]:
        return None if any(map(_left_behind, Path(member.name).parts)) else member

    with tarfile.open(str(archive), "w:gz", dereference=True) as tar:
        for path in paths:
            tar.add(str(path), path.name, filter=own)


def _left_behind(name: str) -> bool:
    return name.startswith(".") or name == "__pycache__"


def unpack(archive: Path, directory: Path) -> None:
    """Unpack the user's code; raises UserError as :func:`archives.unpack`, and where it cannot be read."""
    try:
        archives.unpack(archive, directory, archives.SOURCE)
    except OSError as error:
        raise UserError(f"{archive}: cannot be unpacked: {error.strerror or error}") from None


def install_requirements(
    directory: Path, packages: Path, whose: Optional[str] = None, say: Callable[[str], object] = print
) -> None:
    """Install ``requirements.txt`` for this job alone, with what the image has held fast unless it says otherwise.

    The packages are found by this process, by Ray's workers and by a user's program through PYTHONPATH; those that may
    be other versions than the image's by the program alone.

    Raises:
        UserError: as :func:`requirements.install`.
    """
    modules = requirements.install(directory, packages, whose, say)
    if modules is not None and whose == requirements.MINE:
        _have_children_find(modules)
    elif modules is not None:
        _find_modules_in(modules)
        site.addsitedir(str(modules))


def _find_modules_in(directory: Path) -> None:
    """Put the directory on this process's path and on that of every process it starts."""
    sys.path.insert(0, str(directory))
    importlib.invalidate_caches()
    _have_children_find(directory)


def _find_users_modules_in(directory: Path) -> None:
    """Do so with a source; raises UserError where a module of it would come before one that all processes need."""
    needed = {*NEEDED, *(name for name in list(sys.modules) if _is_pythons(name))}
    for path in sorted(directory.iterdir()) if directory.is_dir() else []:
        is_module = path.suffix == ".py" or (path / "__init__.py").exists()
        if is_module and path.stem in needed:
            raise UserError(f"{path}: would be imported in place of {path.stem}, which the job needs: rename it")
    _find_modules_in(directory)


def _is_pythons(name: str) -> bool:
    """Tell whether what was imported is a file of the standard library; what is built in comes before all files."""
    # Some modules import others as soon as they are asked for something
    file = getattr(sys.modules[name], "__dict__", {}).get("__file__") or ""
    return "." not in name and file.startswith(sysconfig.get_path("stdlib")) and "site-packages" not in file


def _have_children_find(directory: Path) -> None:
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(directory), os.environ.get("PYTHONPATH"))))


def load(directory: Path) -> Source:
    """Import ``envs.py`` and ``experiments.py`` of a directory; an entry of theirs comes before one of ours.

    Raises:
        UserError: no file of a source is there, an import fails, or a registry is no dict of names.
    """
    _check_source(directory)
    _find_users_modules_in(directory)
    return Source(
        directory,
        registry(directory, "envs", "ENVS"),
        {**EXPERIMENTS, **registry(directory, "experiments", "EXPERIMENTS")},
    )


def _check_source(directory: Path) -> None:
    if _is_source(directory):
        return
    neither = f"{directory}: has neither {' nor '.join(SOURCE_FILES)}"
    inside = [str(path) for path in sorted(directory.glob("[!.]*")) if _is_source(path)] if directory.is_dir() else []
    if inside:
        raise UserError(f"{neither}, but {' and '.join(inside[:3])} {'has' if len(inside) == 1 else 'have'}")
    packages = [name for name in SOURCE_FILES if (directory / Path(name).stem / "__init__.py").exists()]
    if packages:
        raise UserError(f"{neither}, but the package {Path(packages[0]).stem}/, which is not looked into")
    raise UserError(f"{neither}; a program is given by --program FILE")


def _is_source(directory: Path) -> bool:
    return any((directory / name).exists() for name in SOURCE_FILES)


def known_experiments(directory: Path) -> Optional[Mapping[str, Entry]]:
    """Return the experiments of a job with this source, for a check where the job does not run.

    None where they cannot be known here, because a module that they import is not installed: the job can tell.

    Raises:
        UserError: as :func:`load`.
    """
    own = _where_known(directory, "experiments", "EXPERIMENTS")
    return None if own is None else {**EXPERIMENTS, **own}


def known_envs(directory: Path) -> Optional[Mapping[str, Callable[..., Any]]]:
    """Return the environments of a source; None where they cannot be known here, as :func:`known_experiments` has it.

    Nor can they be where the source has requirements, for a package may bring some to Gym.

    Raises:
        UserError: as :func:`load`.
    """
    if (directory / "requirements.txt").exists():
        return None
    return _where_known(directory, "envs", "ENVS")


def _where_known(directory: Path, module: str, name: str) -> Optional[Dict[str, Any]]:
    try:
        _find_users_modules_in(directory)
        return registry(directory, module, name)
    except UserError as error:
        if isinstance(error.__cause__, ModuleNotFoundError):
            return None
        raise


def registry(directory: Path, module: str, name: str, optional: bool = False) -> Dict[str, Any]:
    """Return a registry of the source; {} where its module is not there, or where it is optional and not in it.

    Raises:
        UserError: the import fails, or the registry is no dict of names.
    """
    if not (directory / f"{module}.py").exists():
        return {}
    found = attribute(directory / f"{module}.py", name)
    if found is None and optional:
        return {}
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise UserError(f"{directory / module}.py: {name} must be a dict of names, such as {name} = {{'mine': …}}")
    return found


def attribute(file: Path, name: str) -> Any:
    """Return what a module of the source has by a name, None where it has nothing.

    Raises:
        UserError: its import fails, or is that of another file, such as a package's beside it.
    """
    try:
        with uncollected():
            module = importlib.import_module(file.stem)
    except (Exception, SystemExit) as error:  # a script that parses a command line, or ends itself, is none to import
        said = f"{' '.join(str(error).split())}{beside(error)}"
        raise UserError(f"{blame(error)}: {type(error).__name__}: {said}") from error
    imported = module.__file__ or f"the folder {file.stem}"
    if not Path(imported).exists() or not file.samefile(imported):
        raise UserError(f"{file}: {imported} is imported in its place: rename that one")
    return getattr(module, name, None)
