"""`doctor`: what it says of GPUs that are there, of the machine and of the store, and its exit status."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Iterator, List, Sequence

import pytest

from rl_app import cuda, doctor, machine
from rl_app.cuda import Gpu
from rl_app.doctor import Finding, TensorFlow

BUILD = {
    "is_cuda_build": True,
    "cuda_version": "11.8",
    "cuda_compute_capabilities": ["sm_35", "sm_50", "sm_60", "sm_70", "sm_75", "compute_80"],
}
T4 = Gpu("Tesla T4", "535.183.01", (7, 5), 15360)
H100 = Gpu("NVIDIA H100 80GB HBM3", "550.144.03", (9, 0), 81559)


def gpu_finding(gpus: Sequence[Gpu], seen: int) -> Finding:
    return doctor.check_gpus(TensorFlow("2.13.1", BUILD, seen), gpus)


@pytest.fixture(autouse=True)
def all_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_gpus_that_are_reached_are_told_with_driver_and_capability() -> None:
    found = gpu_finding([T4, T4], seen=2)
    assert (found.state, found.status) == ("ok", 0)
    assert found.found == "2 x Tesla T4, 15 GiB, driver 535.183.01, compute capability 7.5: reached natively"
    assert found.facts["gpus"][1] == {
        "name": "Tesla T4",
        "driver": "535.183.01",
        "compute_capability": "7.5",
        "memory_mib": 15360,
        "reached": "native",
    }


def test_hopper_is_reached_by_jit() -> None:
    found = gpu_finding([H100], seen=1)
    assert found.state == "ok" and "compute capability 9.0: reached by JIT" in found.found


@pytest.mark.parametrize(
    ("gpu", "said"),
    [
        (Gpu("NVIDIA B200", "570.86.15", (10, 0), 183359), "10.0: not reached: CUDA 11.8 has no code for it"),
        (Gpu("Tesla T4", "440.33.01", (7, 5), 15360), "not by this driver: it has to be 450.80.02 or newer"),
        (Gpu("NVIDIA H100 PCIe", "515.105.01", (9, 0), 81559), "it has to be 520.61.05 or newer"),
    ],
)
def test_a_gpu_that_cannot_train_is_wrong_and_says_why(gpu: Gpu, said: str) -> None:
    found = gpu_finding([gpu], seen=0)
    assert (found.state, found.status) == ("wrong", doctor.GPU)
    assert said in found.found


def test_a_gpu_that_tensorflow_does_not_see_is_wrong() -> None:
    found = gpu_finding([T4, T4], seen=1)
    assert found.status == doctor.GPU and found.found.endswith("TensorFlow sees 1 of the 2")


def test_gpus_that_are_hidden_from_this_process_are_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert gpu_finding([T4, T4], seen=1).state == "ok"


def test_a_driver_that_does_not_tell_the_capability_is_believed_what_tensorflow_sees() -> None:
    unknown = Gpu("Tesla T4", "450.142.00", None, 15360)
    assert gpu_finding([unknown], seen=1).state == "ok"
    assert gpu_finding([unknown], seen=0).status == doctor.GPU


def test_the_gpu_image_without_a_gpu_says_why_and_how_to_get_one() -> None:
    found = gpu_finding([], seen=0)
    assert found.status == doctor.GPU
    assert "libcuda.so.1: cannot open" in found.found and "--gpus all" in found.found


def test_the_cpu_image_with_a_gpu_names_the_other_image() -> None:
    found = doctor.check_gpus(TensorFlow("2.13.1", {"is_cuda_build": False}, 0), [T4])
    assert (found.state, found.status) == ("note", 0)
    assert "1 x Tesla T4" in found.found and "sagemaker-rllib:gpu" in found.found


def test_a_library_that_does_not_load_is_wrong_with_the_linkers_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "LIBRARIES", ("libc.so.6", "libno-such.so.1"))
    found = doctor.check_libraries(TensorFlow("2.13.1", BUILD, 0))
    assert found.status == doctor.IMAGE
    assert "1 of 2 libraries load: libc.so.6; libno-such.so.1: cannot open shared object file" in found.found
    assert found.facts["libraries"]["libc.so.6"] is None


def machine_findings(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> List[Finding]:
    for name, value in changes.items():
        monkeypatch.setattr(machine, name, value)
    return [*doctor.check_machine()]


def test_a_container_with_too_little_memory_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    small = machine_findings(monkeypatch, memory=lambda: 512 * 1024**2, physical_memory=lambda: 8 * 1024**3)
    memory = next(found for found in small if found.what == "memory")
    assert memory.status == doctor.MACHINE
    assert memory.found == "0.5 GiB, of the machine's 8.0 GiB; a job needs 1.0 GiB"


def test_a_full_disk_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_DISK", 10**18)
    disk = machine_findings(monkeypatch)[-1]
    assert (disk.what, disk.status) == ("disk", doctor.MACHINE)


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(403)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answers) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


@pytest.mark.parametrize("proxy", ["", "http://127.0.0.1:1"])
def test_a_store_that_refuses_is_reached(server: str, proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    found = doctor.check_store({"AWS_ENDPOINT_URL_S3": server})
    assert (found.status, found.found) == (0, f"{server} answers; STORE names no bucket in it")


def test_a_store_that_nobody_answers_for_is_wrong() -> None:
    found = doctor.check_store({"AWS_ENDPOINT_URL_S3": "http://somebody:secret@127.0.0.1:1"})
    assert found.status == doctor.STORE
    assert found.found.startswith("http://127.0.0.1:1 does not answer: ") and "secret" not in str(found)


def test_a_directory_is_a_store(tmp_path: Path) -> None:
    assert doctor.check_store({"STORE": str(tmp_path)}).found == f"{tmp_path} is reached"
    assert doctor.check_store({"STORE": str(tmp_path / "none")}).status == doctor.STORE


def test_the_exit_status_is_of_what_is_wrong_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = [
        Finding("versions", "Python 3.8", facts={"versions": {}}),
        Finding("GPUs", "none", 4),
        Finding("store", "no", 5),
    ]
    monkeypatch.setattr(doctor, "check", lambda environ: iter(findings))
    assert doctor.main([]) == 4
    assert capsys.readouterr().out.splitlines() == [
        "ok     versions   Python 3.8",
        "wrong  GPUs       none",
        "wrong  store      no",
    ]
    assert doctor.main(["--json"]) == 4
    told = json.loads(capsys.readouterr().out)
    assert told["status"] == 4
    assert [found["state"] for found in told["findings"]] == ["ok", "wrong", "wrong"]
