"""Plays SageMaker around the container's commands: stages its input, runs it, stores what it leaves."""

from __future__ import annotations

import argparse
import ctypes
import itertools
import json
import os
import queue
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from rl_app import artifacts, disk, hyperparameters, metrics, sagemaker, source
from rl_app.artifacts import Model
from rl_app.errors import JobError, UserError
from rl_app.experiments import EXPERIMENTS, Experiment
from rl_app.hyperparameters import Settings
from rl_app.machine import detect, process_space, started_at
from rl_app.sagemaker import Paths
from rl_app.store import WORK, DirectoryStore, Mirror, Store, open_store, restore, temporary

GRACE_S = 120.0
"""What SageMaker gives a job between SIGTERM and SIGKILL."""
HEARTBEAT_S = 20.0
NOT_UPLOADED = "not-uploaded.txt"
MAX_RUN = 0
"""Beside the numbers of signals: what asks a job to stop when its time is over."""
PR_SET_PDEATHSIG = 1

EXAMPLES = """
examples:
  python -m rl_app local train
  python -m rl_app local train cartpole config.lr=0.001 stop.episode_reward_mean=195 seed=3
  python -m rl_app local train --job my-first --store s3://bucket/prefix
  python -m rl_app local train --resume my-first max_run=600
  python -m rl_app local evaluate
  python -m rl_app local evaluate my-first another deterministic=false --episodes 100 --seed 7
  python -m rl_app local evaluate s3://bucket/prefix/my-first/output/model.tar.gz

Where an argument is not given, the environment is asked: EXPERIMENT, HYPERPARAMETERS (words KEY=VALUE as in a
shell, or a JSON object), JOB, STORE, MODEL (for evaluate), and SAGEMAKER_BASE_DIR for --work.
Exit status: 0 completed, 1 failed, 2 refused, 130 or 143 stopped by Ctrl-C or by SIGTERM and max_run.
"""

Record = Dict[str, Any]


@dataclass(frozen=True)
class Request:
    """A job that may start; ``earlier`` is the job.json that it goes on from, {} for a new one.

    ``code`` is what goes with the job as the user's own: the files and folders of a source, or of a program.
    ``models`` are what an evaluation evaluates, by the channel that each goes to; a training job has none.
    """

    store: Store
    hyperparameters: Dict[str, str]
    settings: Settings
    name: Optional[str]
    work: Optional[Path]
    earlier: Record
    code: Sequence[Path]
    models: Mapping[str, Model]


@dataclass(frozen=True)
class End:
    """How a job ended, in the words of DescribeTrainingJob, and our exit status."""

    status: str
    code: int
    secondary: Optional[str] = None
    reason: Optional[str] = None


def main(
    argv: Sequence[str],
    command: Optional[Sequence[str]] = None,
    environ: Mapping[str, str] = os.environ,
    grace: float = GRACE_S,
) -> int:
    """Runs one job to its end.

    Args:
        argv: what follows ``local`` on the command line.
        command: what runs in place of this program's own ``train`` or ``evaluate``.
        grace: seconds that the job has to end after SIGTERM, and the store to take what is left at the end.

    Returns:
        The exit status: 0 completed, 1 failed, 2 refused, 130 or 143 stopped.
    """
    options = _options(argv)
    try:
        request = _request(options, environ)
        return _play(request, command or (sys.executable, "-m", "rl_app", options.command), environ, grace)
    except (UserError, JobError) as error:
        _say(str(error))
        return error.errno


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m rl_app local",
        description="Run a job as SageMaker would, on this machine; its files go to a store.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=["train", "evaluate"], help="what the job does")
    parser.add_argument(
        "words",
        nargs="*",
        metavar="EXPERIMENT | MODEL | KEY=VALUE",
        help="train: one experiment, default: the default one; evaluate: models to compare, each a job's name, an "
        "s3:// URL, a model.tar.gz or a directory, default: that of the newest completed job",
    )
    name = parser.add_mutually_exclusive_group()
    name.add_argument("--job", metavar="NAME", help="default: the experiment and the time (UTC)")
    name.add_argument("--resume", metavar="NAME", help="go on with a stopped or failed job from its last checkpoint")
    parser.add_argument("--store", metavar="URL", help="s3://BUCKET[/PREFIX] or a directory; default: runs")
    code = parser.add_mutually_exclusive_group()
    code.add_argument("--source", metavar="DIR", help="envs.py and experiments.py of your own, and what they import")
    code.add_argument("--program", metavar="FILE", help="a program of your own, in place of the job built in")
    parser.add_argument("--dependency", metavar="DIR", action="append", default=[], help="a package for --program")
    parser.add_argument("--episodes", metavar="N", help="evaluate: the same as evaluate_episodes=N")
    parser.add_argument("--seed", metavar="N", help="evaluate: the same as seed=N")
    parser.add_argument("--restore", action="store_true", help="evaluate: the same as restore=true")
    parser.add_argument("--work", metavar="DIR", help="what plays /opt/ml; default: a new one, removed at the end")
    return parser.parse_intermixed_args(argv)


def _request(options: argparse.Namespace, environ: Mapping[str, str]) -> Request:
    """Checks all that can be checked before anything is made; raises UserError."""
    if options.command == "evaluate":
        return _evaluation(options, environ)
    name = options.resume or options.job or environ.get("JOB") or None
    if name:
        sagemaker.check_job_name(name)
    code = _code(options)
    experiments = source.known_experiments(Path(options.source)) if options.source else EXPERIMENTS
    asked = _asked(options, environ)
    if not options.resume:
        _settings(asked, experiments)  # a typo is refused before a store is touched
    store = open_store(options.store or environ.get("STORE") or "runs", environ)
    earlier = _resumable(store, options.resume) if options.resume else {}
    before = earlier.get("HyperParameters", {})
    if before and asked.get("experiment", before.get("experiment")) != before.get("experiment"):
        raise UserError(f"--resume {name}: goes on with its own experiment, {before['experiment']}")
    raw = {**before, **asked}
    # a job that goes on with the source that it was made with is checked once that is here
    settings = _settings(raw, experiments if code or not _source_kept(store, name, earlier) else None)
    work = _work(options, environ, store, name)
    if not hyperparameters.is_program(raw):
        raw["experiment"] = settings.experiment
    return Request(store, raw, settings, name, work, earlier, code, {})


def _work(options: argparse.Namespace, environ: Mapping[str, str], store: Store, name: Optional[str]) -> Optional[Path]:
    """The base directory that is given, if any; raises UserError where it, or else the job's own, is in use."""
    given = options.work or environ.get("SAGEMAKER_BASE_DIR")
    work = Path(given).absolute() if given else None
    base = work or (_base_in(store, name) if name else None)
    if base:
        _check_base(Paths(base))
    return work


def _evaluation(options: argparse.Namespace, environ: Mapping[str, str]) -> Request:
    """The same of a job that evaluates; raises UserError."""
    for flag in ("resume", "program"):
        if getattr(options, flag):
            raise UserError(f"--{flag} {getattr(options, flag)}: goes with train, not with evaluate")
    name = options.job or environ.get("JOB") or None
    if name:
        sagemaker.check_job_name(name)
    code = _code(options)
    places = [word for word in options.words if "=" not in word] or shlex.split(environ.get("MODEL", ""))
    given = [*(word for word in options.words if "=" in word), *_shorthands(options)]
    raw = {**_from_text(environ.get("HYPERPARAMETERS", "").strip(), str), **hyperparameters.assignments(given, str)}
    asked = hyperparameters.parse_evaluation(raw)
    store = open_store(options.store or environ.get("STORE") or "runs", environ)
    models = [artifacts.locate(place, store, environ) for place in places] or [artifacts.newest(store)]
    channels = {"model": models[0]} if len(models) == 1 else dict(_channels(models))
    work = _work(options, environ, store, name)
    settings = Settings(f"{models[0].name[:30]}-evaluation", "evaluate", asked.seed, asked.max_run)
    return Request(store, {**raw, "command": "evaluate"}, settings, name, work, {}, code, channels)


def _shorthands(options: argparse.Namespace) -> List[str]:
    """The hyperparameters that have flags of their own."""
    flags = {"evaluate_episodes": options.episodes, "seed": options.seed, "restore": options.restore and "true"}
    return [f"{key}={value}" for key, value in flags.items() if value]


def _channels(models: Sequence[Model]) -> Iterator[Tuple[str, Model]]:
    """A channel for each model, named after it; two of one name are told apart by a number."""
    taken: Dict[str, int] = {}
    for model in models:
        name = re.sub("[^a-zA-Z0-9.-]+", "-", model.name)[:60].strip("-") or "model"
        taken[name] = taken.get(name, 0) + 1
        yield (name if taken[name] == 1 else f"{name}-{taken[name]}"), model


def _code(options: argparse.Namespace) -> Sequence[Path]:
    """What the user gives to go with the job; raises UserError."""
    if options.dependency and not options.program:
        raise UserError(f"--dependency {options.dependency[0]}: goes with --program")
    if options.source:
        return source.contents(Path(options.source))
    given = [Path(path) for path in [options.program, *options.dependency] if path]
    for path in given:
        if not path.exists():
            raise UserError(f"{path}: there is no such file or directory")
    return given


def _settings(raw: Mapping[str, str], experiments: Optional[Mapping[str, Experiment]]) -> Settings:
    """Checks the hyperparameters where that can be done here: a program's are its own business."""
    if hyperparameters.is_program(raw) or experiments is None:
        experiment = Path(raw.get("sagemaker_program", raw.get("experiment", "job"))).stem
        return Settings(experiment=experiment, max_run=int(raw.get("max_run", Settings.max_run)))
    return hyperparameters.parse(raw, detect(), experiments).settings


def _source_kept(store: Store, name: Optional[str], earlier: Record) -> bool:
    return bool(earlier) and bool(store.list(f"{name}/source"))


def _asked(options: argparse.Namespace, environ: Mapping[str, str]) -> Dict[str, str]:
    """The hyperparameters that were given, by full name; the command line's go before the environment's."""
    for flag in ("episodes", "seed", "restore"):
        if getattr(options, flag):
            raise UserError(f"--{flag}: goes with evaluate, not with train")
    words = [f"command={options.command}", *options.words]
    bare = next((index for index, word in enumerate(words) if "=" not in word), None)
    if bare is not None:
        words[bare] = f"experiment={words[bare]}"
    if options.program:
        given = dict(word.partition("=")[::2] for word in options.words)
        return {**given, "sagemaker_program": Path(options.program).name}
    asked = _from_text(environ.get("HYPERPARAMETERS", "").strip())
    if environ.get("EXPERIMENT") and not options.resume:
        asked["experiment"] = environ["EXPERIMENT"]
    return {**asked, **hyperparameters.assignments(words)}


def _from_text(text: str, full: Callable[[str], str] = hyperparameters.qualify) -> Dict[str, str]:
    try:
        if not text.startswith("{"):
            return dict(hyperparameters.assignments(shlex.split(text), full))
        values = json.loads(text).items()
    except ValueError as error:
        raise UserError(f"HYPERPARAMETERS {text!r}: must be words KEY=VALUE or a JSON object ({error})") from None
    return {full(key): value if isinstance(value, str) else json.dumps(value) for key, value in values}


def _resumable(store: Store, name: str) -> Record:
    """The job.json of a job that has ended and can go on."""
    try:
        record: Record = json.loads(store.read(f"{name}/job.json"))
    except FileNotFoundError:
        raise UserError(f"--resume {name}: {store.url} has no job of this name") from None
    except ValueError as error:
        raise UserError(f"--resume {name}: {store.url}/{name}/job.json is no JSON: {error}") from None
    state = record["TrainingJobStatus"]
    if hyperparameters.is_evaluation(record.get("HyperParameters", {})):
        raise UserError(f"--resume {name}: it is an evaluation, which is started anew: scripts/evaluate")
    if state == "Completed":
        raise UserError(f"--resume {name}: it is Completed; only a Stopped or Failed job goes on")
    if state == "InProgress":
        _check_ended(name, record)
    return record


def _check_ended(name: str, record: Record) -> None:
    """Refuses a job that still runs. One whose processes were killed says InProgress for ever."""
    local = record["Local"]
    if local["Space"] == process_space():
        if any(started_at(int(pid)) == started for pid, started in local["Processes"].items()):
            raise UserError(f"--resume {name}: it is still running, as process {', '.join(local['Processes'])}")
        return
    age = (_now() - datetime.fromisoformat(record["LastModifiedTime"])).total_seconds()
    left = 3 * HEARTBEAT_S - age
    if left > 0:
        raise UserError(
            f"--resume {name}: it was running on {local['Host']} {max(age, 0):.0f} s ago; "
            f"if it is not any more, try again in {left:.0f} s"
        )


def _play(request: Request, command: Sequence[str], environ: Mapping[str, str], grace: float) -> int:
    with _caught_signals() as signals:
        record = _claim(request, environ)
        name = record["TrainingJobName"]
        _say(f"job {name}: its files go to {request.store.url}/{name}")
        for model in request.models.values():
            _say(f"model {model.name}: {model.uri}")
        base = request.work or _base_in(request.store, name) or Path(tempfile.mkdtemp(prefix=f"{name}-"))
        try:
            paths = _stage(request, name, base)
            child = _start(command, paths, name, environ)
        except (UserError, JobError, OSError) as error:
            code = error.errno if isinstance(error, UserError) else 1
            return _finish(request, record, base, End("Failed", code, reason=str(error)), [])
        record["Local"]["Processes"][str(child.pid)] = started_at(child.pid)
        record["TrainingStartTime"] = _now().isoformat()
        record["CheckpointConfig"]["LocalPath"] = str(paths.checkpoints)
        started = time.monotonic()
        with _heartbeat(request.store, record):
            checkpoints = Mirror(paths.checkpoints, request.store, f"{name}/checkpoints", delete=True)
            checkpoints.start()
            end = _judge(*_supervise(child, signals, request.settings.max_run, grace), sagemaker.failure(paths))
            ended, took = _now(), time.monotonic() - started
            troubles = _upload(request.store, name, paths, checkpoints, grace)
        record["TrainingEndTime"] = ended.isoformat()
        record["TrainingTimeInSeconds"] = record.get("TrainingTimeInSeconds", 0) + round(took)
        record["FinalMetricDataList"] = _final_metrics(paths)
        if _whole(paths.model) and not troubles:
            record["ModelArtifacts"] = {"S3ModelArtifacts": f"{request.store.url}/{name}/output/model.tar.gz"}
        return _finish(request, record, base, end, troubles)


@contextmanager
def _caught_signals() -> Iterator[queue.SimpleQueue[int]]:
    """From here on a signal stops the job, not us: each is put in a queue, and so is the end of a child."""
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()
    caught = [signal.SIGTERM, signal.SIGINT, signal.SIGCHLD]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup
        caught.append(signal.SIGHUP)
    previous = {number: signal.signal(number, lambda number, _: signals.put(number)) for number in caught}
    try:
        yield signals
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _claim(request: Request, environ: Mapping[str, str]) -> Record:
    """Writes the first job.json, which makes the name this job's; raises UserError for a name in use."""
    if request.earlier:
        kept = {"CreationTime", "TrainingTimeInSeconds", "ModelArtifacts"} & set(request.earlier)
        name = request.earlier["TrainingJobName"]
        record = {**_new_record(request, name, environ), **{key: request.earlier[key] for key in kept}}
        _save(request.store, record)
        return record
    for name in _names(request):
        record = _new_record(request, name, environ)
        if request.store.create(f"{name}/job.json", _json(record)):
            return record
    raise UserError(f"--job {request.name}: {request.store.url} has a job of this name already")


def _names(request: Request) -> Iterator[str]:
    if request.name:
        yield request.name
        return
    experiment = re.sub("[^a-zA-Z0-9]+", "-", request.settings.experiment)[:41].strip("-")
    name = f"{experiment or 'job'}-{_now():%Y-%m-%d-%H-%M-%S}"
    yield name
    yield from (f"{name}-{number}" for number in itertools.count(2))


def _new_record(request: Request, name: str, environ: Mapping[str, str]) -> Record:
    now, url = _now().isoformat(), request.store.url
    return {
        "TrainingJobName": name,
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Training",
        "CreationTime": now,
        "LastModifiedTime": now,
        "HyperParameters": request.hyperparameters,
        "InputDataConfig": [_channel(channel, model) for channel, model in request.models.items()],
        "AlgorithmSpecification": {"TrainingImage": environ.get("RL_IMAGE") or None},
        "Versions": _versions(),
        "OutputDataConfig": {"S3OutputPath": url},
        "CheckpointConfig": {"S3Uri": f"{url}/{name}/checkpoints", "LocalPath": None},
        "StoppingCondition": {"MaxRuntimeInSeconds": request.settings.max_run},
        "Local": {
            "Host": socket.gethostname(),
            "Space": process_space(),
            "Processes": {str(os.getpid()): started_at(os.getpid())},
        },
    }


def _channel(name: str, model: Model) -> Record:
    """A channel as DescribeTrainingJob gives it."""
    return {
        "ChannelName": name,
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": model.uri}},
    }


def _versions() -> Dict[str, str]:
    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in ("ray", "tensorflow", "tensorflow-cpu", "gym"):
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions


def _base_in(store: Store, name: str) -> Optional[Path]:
    """Where a directory store has its jobs run."""
    return store.root / WORK / name if isinstance(store, DirectoryStore) else None


def _check_base(paths: Paths) -> None:
    """Refuses a directory whose files are not the remains of a job that can be removed."""
    note = paths.base / NOT_UPLOADED
    if note.exists():
        raise UserError(f"{paths.base}: {note.read_text().strip()}")
    if (paths.config / "hyperparameters.json").exists():
        return
    for directory in _contract_directories(paths):
        if directory.is_dir() and any(directory.iterdir()):
            raise UserError(f"{directory} holds files of something else; --work DIR takes another directory")


def _contract_directories(paths: Paths) -> Sequence[Path]:
    """What a job fills. Channels and code may have been mounted and are left alone."""
    return paths.config, paths.model, paths.output, paths.checkpoints, _source_directory(paths)


def _source_directory(paths: Paths) -> Path:
    return paths.base / "source"


def _clear(paths: Paths) -> None:
    """Empties the directories, which stay: they may be mounts."""
    for directory in _contract_directories(paths):
        for child in directory.iterdir() if directory.is_dir() else ():
            shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()


def _stage(request: Request, name: str, base: Path) -> Paths:
    """Lays out what SageMaker lays out in /opt/ml; a job that goes on finds its checkpoints there."""
    paths = Paths(base)
    _clear(paths)
    in_compose = socket.gethostname() == "algo-1"
    host = "algo-1" if in_compose else "localhost"  # a name that does not resolve holds sagemaker-training up
    config = DirectoryStore(paths.config)
    staged = {"sagemaker_s3_output": request.store.url, **_stage_code(request, name, paths)}
    config.write("hyperparameters.json", _json({**request.hyperparameters, **staged}))
    config.write("inputdataconfig.json", _json({channel: {"TrainingInputMode": "File"} for channel in request.models}))
    config.write(
        "resourceconfig.json",
        _json({"current_host": host, "hosts": [host], "network_interface_name": "eth0" if in_compose else "lo"}),
    )
    for directory in (paths.data, paths.model, paths.output_data, paths.intermediate, paths.checkpoints):
        directory.mkdir(parents=True, exist_ok=True)
    disk.reserve(base)
    if request.earlier:
        restore(request.store, f"{name}/checkpoints", paths.checkpoints)
    for channel, model in request.models.items():
        shutil.rmtree(paths.data / channel, ignore_errors=True)
        model.fetch(paths.data / channel)
    return paths


def _stage_code(request: Request, name: str, paths: Paths) -> Dict[str, str]:
    """Keeps the user's code with the job and unpacks it; returns the hyperparameter that says where.

    An evaluation without any of its own takes what the first of its models that has some was trained with.
    """
    key, directory = f"{name}/source/sourcedir.tar.gz", _source_directory(paths)
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "sourcedir.tar.gz"
        if request.code:
            source.pack(request.code, archive)
            request.store.upload(archive, key)
        elif request.earlier:
            with suppress(FileNotFoundError):
                request.store.download(key, archive)
        for model in [each for each in request.models.values() if each.source and not request.code][:1]:
            model.store.download(str(model.source), archive)
            request.store.upload(archive, key)
        if not archive.exists():
            return {}
        source.unpack(archive, directory)
    return {"sagemaker_submit_directory": str(directory)}


def _start(command: Sequence[str], paths: Paths, name: str, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Starts the job in a process group of its own, so that Ctrl-C reaches only us."""
    prctl, us = ctypes.CDLL(None).prctl, os.getpid()

    def follow() -> None:
        """Where we are killed, the job is told to end. No thread of ours is there yet, as it must be."""
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != us:
            os.kill(os.getpid(), signal.SIGTERM)

    return subprocess.Popen(
        list(command),
        env={**environ, "SAGEMAKER_BASE_DIR": str(paths.base), "TRAINING_JOB_NAME": name},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=follow,
    )


def _supervise(
    child: subprocess.Popen[bytes], signals: queue.SimpleQueue[int], max_run: float, grace: float
) -> Tuple[int, Optional[int], bool]:
    """Waits for the job to end; SIGTERM at the first signal or after ``max_run`` seconds, then SIGKILL.

    Returns:
        The child's status (negative: the signal that ended it), what asked it to stop (None: nothing did),
        and whether it had to be killed.
    """
    asked, killed = None, False
    deadline = time.monotonic() + max_run
    while not os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        try:
            event = signals.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            event = MAX_RUN
        if event == signal.SIGCHLD:
            continue
        if asked is None:
            why = signal.Signals(event).name if event else f"max_run ({max_run} s) is over"
            _say(f"{why}: the job has {grace:.0f} s to save and end; Ctrl-C kills it")
            asked, deadline = event, time.monotonic() + grace
            child.send_signal(signal.SIGTERM)
        elif event in (signal.SIGINT, MAX_RUN):
            killed, deadline = True, time.monotonic() + grace
            os.killpg(child.pid, signal.SIGKILL)
    # what the job left running goes too; not reaped yet, the child still holds the number of the group
    os.killpg(child.pid, signal.SIGKILL)
    return child.wait(), asked, killed


def _judge(status: int, asked: Optional[int], killed: bool, failure: str) -> End:
    if asked is not None and not (status > 0 and failure):
        reason = "killed: it had not ended after SIGTERM; what it had not written is lost" if killed else None
        secondary = "Stopped" if asked else "MaxRuntimeExceeded"
        return End("Stopped", 128 + (asked or signal.SIGTERM), secondary, reason)
    if status == 0:
        return End("Completed", 0)
    if status < 0:
        out_of_memory = ", as for want of memory" if status == -signal.SIGKILL else ""
        failure = failure or f"ended by {signal.Signals(-status).name}{out_of_memory}"
    return End("Failed", 2 if status == 2 else 1, reason=failure or f"exit status {status}, and no reason given")


@contextmanager
def _heartbeat(store: Store, record: Record) -> Iterator[None]:
    """Writes job.json again and again: where its LastModifiedTime is old, the job has died."""
    done = threading.Event()

    def beat() -> None:
        while True:
            with suppress(JobError):
                _save(store, record)
            if done.wait(HEARTBEAT_S):
                return

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _upload(store: Store, name: str, paths: Paths, checkpoints: Mirror, timeout: float) -> List[str]:
    """Brings what the job left to the store; returns the reasons why something is not there."""
    troubles = []
    try:
        checkpoints.stop(timeout)
    except JobError as error:
        troubles.append(str(error))
    try:
        with tempfile.TemporaryDirectory(prefix=".tmp-", dir=paths.base) as folder:
            _archive(paths.model, Path(folder) / "model.tar.gz")
            _archive(paths.output_data, Path(folder) / "output.tar.gz")
            archives = Mirror(Path(folder), store, f"{name}/output")
            archives.start()
            archives.stop(timeout)
    except (JobError, OSError) as error:
        troubles.append(str(error))
    return troubles


def _archive(directory: Path, target: Path) -> None:
    """Packs what is in the directory, if anything is; the same files give the same names, order and owner."""
    names = _whole(directory)
    if not names:
        return
    with tarfile.open(target, "w:gz", compresslevel=6) as archive:
        for name in names:
            archive.add(directory / name, str(name), recursive=False, filter=_anonymous)


def _whole(directory: Path) -> List[Path]:
    """The relative paths below the directory, sorted, less those that were still being written."""
    paths = (path.relative_to(directory) for path in directory.rglob("*"))
    return sorted(path for path in paths if not any(map(temporary, path.parts)))


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _final_metrics(paths: Paths) -> List[Dict[str, Any]]:
    """The last rewards of the job, as DescribeTrainingJob gives the last values of its metrics."""
    with suppress(OSError, ValueError, LookupError, TypeError):
        found = json.loads((paths.output_data / "evaluation.json").read_text())["models"][0]
        now = _now().isoformat()
        return [
            {"MetricName": f"episode_reward_{key}", "Value": float(found[key]), "Timestamp": now}
            for key in ("mean", "max")
        ]
    for directory in (paths.output_data, paths.checkpoints):
        try:
            rows = [row for row in metrics.read(directory) if row.get("episode_reward_mean") is not None]
            if rows:
                at = datetime.fromtimestamp(rows[-1]["timestamp"], timezone.utc).isoformat()
                return [
                    {"MetricName": key, "Value": rows[-1][key], "Timestamp": at}
                    for key in ("episode_reward_mean", "episode_reward_max")
                ]
        except (ValueError, TypeError, KeyError, AttributeError):
            continue  # a user's own program may write something else under that name
    return []


def _finish(request: Request, record: Record, base: Path, end: End, troubles: List[str]) -> int:
    """Writes the last job.json, removes the base directory or notes why it is kept, tells how it ended."""
    disk.release(base)
    if troubles:
        reasons = [end.reason or "", f"not uploaded: {'; '.join(troubles)}"]
        end = End("Failed", 1, reason="; ".join(filter(None, reasons)))
    del record["Local"]
    record.update(TrainingJobStatus=end.status, SecondaryStatus=end.secondary or end.status)
    if end.reason:
        record["FailureReason"] = end.reason[:1024]  # as much as SageMaker shows
    try:
        _save(request.store, record)
    except JobError as error:
        troubles, end = [*troubles, str(error)], End("Failed", 1)
        record["FailureReason"] = str(error)
    if troubles:
        lost = f"holds what job {record['TrainingJobName']} could not upload; take it away, then {NOT_UPLOADED}"
        with suppress(OSError):  # the disk is full, and what is kept speaks for itself
            (base / NOT_UPLOADED).write_text(lost + "\n")
    elif request.work:
        _clear(Paths(base))
        if hyperparameters.is_program(request.hyperparameters):  # where sagemaker-training has put it
            shutil.rmtree(Paths(base).code, ignore_errors=True)
    else:
        shutil.rmtree(base, ignore_errors=True)
        if base.parent.name == WORK:
            with suppress(OSError):  # another job's is there
                base.parent.rmdir()
    _say("\n".join(_closing_words(request, record, end, base if troubles else None)))
    return end.code


def _closing_words(request: Request, record: Record, end: End, kept: Optional[Path]) -> Iterator[str]:
    name = record["TrainingJobName"]
    rewards = [f", {entry['MetricName']} {entry['Value']:.1f}" for entry in record.get("FinalMetricDataList", [])[:1]]
    yield f"job {name}: {end.status} after {record.get('TrainingTimeInSeconds', 0)} s{''.join(rewards)}"
    if "FailureReason" in record:
        yield f"  why    {record['FailureReason']}"
    yield f"  files  {request.store.url}/{name}"
    if "ModelArtifacts" in record:
        yield f"  model  {record['ModelArtifacts']['S3ModelArtifacts']}"
    if kept:
        yield f"  kept   {kept}, for it holds what is not in the store"
    if request.models and end.status != "Failed":
        yield f"  next   scripts/fetch {name}    its report.html, evaluation.json and videos"
    elif end.status == "Completed":
        yield f"  next   scripts/evaluate {name}    what the policy is worth"
        again = f"{request.settings.experiment} seed={(request.settings.seed or 0) + 1}"
        yield f"  next   scripts/train {again}    the same with another seed"
    elif not request.models:
        yield f"  next   scripts/train --resume {name}    go on from the last checkpoint"


def _save(store: Store, record: Record) -> None:
    record["LastModifiedTime"] = _now().isoformat()
    store.write(f"{record['TrainingJobName']}/job.json", _json(record))


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _say(text: str) -> None:
    with suppress(OSError):  # a terminal that was closed is no reason to lose the job
        print(text, file=sys.stderr, flush=True)
