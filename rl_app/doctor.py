"""The command ``doctor``: what a container of this image finds where it runs, on one screen."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import textwrap
import urllib.error
import urllib.request
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Sequence

from rl_app import cuda, machine
from rl_app.cuda import Gpu
from rl_app.errors import JobError, UserError
from rl_app.job import sagemaker
from rl_app.storage.opening import open_store
from rl_app.storage.s3_client import endpoint, open_url, without_password
from rl_app.training import ray_runtime

PACKAGES = ("ray", "gym", "numpy", "onnxruntime", "sagemaker-training", "boto3")
# What is wrong, as the exit status says it; 2 is a command line that cannot be read.
IMAGE, MACHINE, GPU, STORE = 1, 3, 4, 5
LEAST_MEMORY = LEAST_DISK = 1024**3
STORE_DEADLINE_S = 5.0

EXAMPLES = """
examples:
  docker run --rm sagemaker-rllib:cpu doctor
  docker run --rm --gpus all sagemaker-rllib:gpu doctor --json
  docker compose run --rm train doctor

Exit status, of what is wrong first: 0 nothing, 1 the image (a package or a library of CUDA does not load), 3 the
machine (memory, disk), 4 the GPUs (none for an image that wants one, or none that its CUDA reaches), 5 the store.
"""


@dataclass(frozen=True)
class Finding:
    """What came of a check: ``status`` is the exit status where something is wrong; ``facts`` go to --json."""

    what: str
    found: str
    status: int = 0
    note: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """In one word."""
        return "wrong" if self.status else "note" if self.note else "ok"


@dataclass(frozen=True)
class TensorFlow:
    """What the installed TensorFlow says of itself."""

    version: str
    build: Mapping[str, Any]
    gpus: int

    @property
    def cuda(self) -> bool:
        """Whether it is the one for GPUs."""
        return bool(self.build["is_cuda_build"])


def main(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Print every finding; return the exit status."""
    options = _options(argv)
    findings = [*check(environ)]
    status = next((found.status for found in findings if found.status), 0)
    if options.json:
        print(json.dumps({"status": status, "findings": [_as_json(found) for found in findings]}, indent=2))
    else:
        for found in findings:
            print(_line(found, shutil.get_terminal_size((100, 24)).columns))
    return status


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="doctor",
        description="Say what this container finds where it runs, and what is wrong.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    return parser.parse_args(argv)


def _as_json(found: Finding) -> Dict[str, Any]:
    return {"what": found.what, "state": found.state, "found": found.found, **found.facts}


def _line(found: Finding, width: int) -> str:
    start = f"{found.state:<6} {found.what:<10} "
    return textwrap.fill(
        found.found, width, initial_indent=start, subsequent_indent=" " * len(start), break_on_hyphens=False
    )


def check(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield all checks, in the order in which one explains the next."""
    try:
        flow = _tensorflow()
    except Exception as error:  # whatever a broken installation raises
        yield Finding("versions", f"TensorFlow cannot be imported: {' '.join(str(error).split())}", IMAGE)
        return
    yield check_versions(flow)
    yield from check_machine()
    yield check_gpus(flow, cuda.gpus())
    if flow.cuda:
        yield check_libraries(flow)
    yield check_store(environ)


def _tensorflow() -> TensorFlow:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # what it would say of the GPUs is said below
    import tensorflow as tf

    return TensorFlow(tf.__version__, dict(tf.sysconfig.get_build_info()), len(tf.config.list_physical_devices("GPU")))


def check_versions(flow: TensorFlow) -> Finding:
    """Return what a job is made with, installed or not."""
    found = {"Python": ".".join(map(str, sys.version_info[:3])), "TensorFlow": flow.version}
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    missing = [package for package in PACKAGES if package not in found]
    text = ", ".join(f"{name} {version}" for name, version in found.items())
    facts = {"versions": found}
    if missing:
        return Finding("versions", f"not installed: {', '.join(missing)}; there are {text}", IMAGE, facts=facts)
    return Finding("versions", text, facts=facts)


def check_machine() -> Iterator[Finding]:
    """CPUs, memory, shared memory and disk."""
    cpus, all_cpus = machine.detect().cpus, os.cpu_count() or 1
    text = f"{cpus}" if cpus == all_cpus else f"{cpus}, of the machine's {all_cpus}"
    yield Finding("CPUs", text, facts={"cpus": cpus, "cpus_of_machine": all_cpus})

    limit, total = machine.memory(), machine.physical_memory()
    text = _gib(limit) if limit == total else f"{_gib(limit)}, of the machine's {_gib(total)}"
    facts = {"bytes": limit, "bytes_of_machine": total}
    too_small = limit < LEAST_MEMORY
    yield Finding("memory", text + f"; a job needs {_gib(LEAST_MEMORY)}" * too_small, MACHINE * too_small, facts=facts)

    shared = Path("/dev/shm")
    if shared.is_dir():
        size = shutil.disk_usage(shared).total
        slow = not ray_runtime.fits(shared)
        advice = "; too small for Ray's objects, which go to files: slower; `docker run --shm-size 1g`"
        yield Finding("/dev/shm", f"{size / 1024**2:.0f} MiB" + advice * slow, note=slow, facts={"bytes": size})

    where = _existing(sagemaker.paths().base)
    free = shutil.disk_usage(where).free
    full = free < LEAST_DISK
    yield Finding("disk", f"{_gib(free)} free in {where}", MACHINE * full, facts={"bytes_free": free})


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _gib(size: float) -> str:
    return f"{size / 1024**3:.1f} GiB"


def check_gpus(flow: TensorFlow, gpus: Sequence[Gpu]) -> Finding:
    """Return whether this TensorFlow can train on these GPUs."""
    facts = {"gpus": [_gpu_facts(gpu, flow) for gpu in gpus], "seen_by_tensorflow": flow.gpus}
    several = Counter(gpus).items()
    if not flow.cuda:
        named = ", ".join(f"{count} x {gpu.name}" for gpu, count in several)
        text = f"{named}: for the image sagemaker-rllib:gpu, this one has no CUDA" if gpus else "none; no CUDA either"
        return Finding("GPUs", text, note=bool(gpus), facts=facts)
    if not gpus:
        return Finding("GPUs", f"none: {_why_no_gpu()}; the CPU trains", GPU, facts=facts)
    described = [f"{count} x {_described(gpu, flow)}" for gpu, count in several]
    if not any(_usable(gpu, flow) for gpu in gpus):
        return Finding("GPUs", "; ".join(described), GPU, facts=facts)
    visible = len(machine.devices(len(gpus)))
    if flow.gpus < visible:
        described.append(f"TensorFlow sees {flow.gpus} of the {visible}")
    return Finding("GPUs", "; ".join(described), GPU * (flow.gpus < visible), facts=facts)


def _why_no_gpu() -> str:
    reason = cuda.why_not_loaded(cuda.DRIVER)
    if reason is None:
        return "the driver is here, and lists none"
    return f"{reason}; a container has GPUs by `docker run --gpus all`, with the NVIDIA container toolkit installed"


def _gpu_facts(gpu: Gpu, flow: TensorFlow) -> Dict[str, Any]:
    return {
        "name": gpu.name,
        "driver": gpu.driver,
        "compute_capability": ".".join(map(str, gpu.capability)) if gpu.capability else None,
        "memory_mib": gpu.memory_mib,
        "reached": cuda.reach(gpu.capability, _built(flow)) if gpu.capability and flow.cuda else None,
    }


def _described(gpu: Gpu, flow: TensorFlow) -> str:
    text = f"{gpu.name}, {gpu.memory_mib / 1024:.0f} GiB, driver {gpu.driver}"
    if gpu.capability is None:
        return f"{text}: it does not tell the compute capability"
    how = cuda.reach(gpu.capability, _built(flow))
    needed = cuda.oldest_driver(gpu.capability, how)
    reached = {
        "native": "reached natively",
        "JIT": "reached by JIT: the driver compiles the kernels, minutes at the first start",
        "no": f"not reached: CUDA {flow.build['cuda_version']} has no code for it",
    }
    old = f", but not by this driver: it has to be {needed} or newer" * _driver_is_old(gpu, flow)
    return f"{text}, compute capability {'.'.join(map(str, gpu.capability))}: {reached[how]}{old}"


def _usable(gpu: Gpu, flow: TensorFlow) -> bool:
    if gpu.capability is None:
        return True
    return cuda.reach(gpu.capability, _built(flow)) != "no" and not _driver_is_old(gpu, flow)


def _driver_is_old(gpu: Gpu, flow: TensorFlow) -> bool:
    if gpu.capability is None:
        return False
    how = cuda.reach(gpu.capability, _built(flow))
    return how != "no" and cuda.is_older(gpu.driver, cuda.oldest_driver(gpu.capability, how))


def _built(flow: TensorFlow) -> List[str]:
    return list(flow.build["cuda_compute_capabilities"])


def check_libraries(flow: TensorFlow) -> Finding:
    """Return whether each of CUDA's libraries can be opened."""
    reasons = {library: cuda.why_not_loaded(library) for library in cuda.LIBRARIES}
    loaded = [library for library, reason in reasons.items() if reason is None]
    failed = [reason for reason in reasons.values() if reason is not None]
    text = f"{flow.build['cuda_version']}, for {' '.join(_built(flow))}; {len(loaded)} of {len(reasons)} libraries load"
    text += f": {' '.join(loaded)}" * bool(loaded) + "".join(f"; {reason}" for reason in failed)
    facts = {"version": flow.build["cuda_version"], "kernels": _built(flow), "libraries": reasons}
    return Finding("CUDA", text, IMAGE * bool(failed), facts=facts)


def check_store(environ: Mapping[str, str]) -> Finding:
    """Return whether the store that the environment names can be reached."""
    url, address = environ.get("STORE"), endpoint(environ)
    facts = {"store": url, "endpoint": without_password(address) if address else None}
    try:
        if url:
            open_store(url, environ, make=False)
            return Finding("store", f"{url} is reached" + f" at {facts['endpoint']}" * bool(address), facts=facts)
        if address:
            _ask(address)
            return Finding("store", f"{without_password(address)} answers; STORE names no bucket in it", facts=facts)
    except (UserError, JobError) as error:
        reason = str(error).replace("store ", "", 1)
        new = "has no such bucket" in reason
        return Finding("store", f"{reason}{'; the first job makes it' * new}", STORE * (not new), note=new, facts=facts)
    return Finding("store", "none is named (STORE, AWS_ENDPOINT_URL_S3)", facts=facts)


def _ask(address: str) -> None:
    """Raise UserError where nobody answers; a refusal is an answer."""
    try:
        with suppress(urllib.error.HTTPError):
            open_url(urllib.request.Request(address), STORE_DEADLINE_S).close()
    except (OSError, ValueError) as error:
        raise UserError(f"{without_password(address)} does not answer: {getattr(error, 'reason', error)}") from None
