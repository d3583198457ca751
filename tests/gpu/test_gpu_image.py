"""The GPU image: all that can be seen of it without a GPU, and training on one where one is at hand."""

import json

import pytest

from rl_app import cuda
from tests.image.containers import docker, installed, locked

LARGEST_BYTES = 4_600_000_000
OPENED_BY_OTHERS = {name for name in cuda.LIBRARIES if name.startswith(("libcudnn_", "libcublasLt"))}

OPEN_EACH = """
import ctypes, json, subprocess, sys
def opened(name):
    code = f"import ctypes; ctypes.CDLL({name!r})"
    return subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True).stderr.splitlines()[-1:]
print(json.dumps({name: opened(name) for name in sys.argv[1:]}))
"""
# TensorFlow's own check of what it opens before it uses a GPU; where all is there, its status is a null pointer
ASK_TENSORFLOW = """
import ctypes, pathlib, tensorflow
library = ctypes.CDLL(str(pathlib.Path(tensorflow.__file__).parent / "libtensorflow_framework.so.2"))
try_dlopen = getattr(library, "_ZN3tsl8internal9DsoLoader22TryDlopenCUDALibrariesEv")
try_dlopen.restype = None
status = ctypes.c_void_p()
try_dlopen(ctypes.byref(status))
print("ok" if status.value is None else "not all")
"""
SITE = "/opt/venv/lib/python3.8/site-packages"


def python(image, code, *arguments, options=()):
    return docker("run", "--rm", *options, image, "python", "-c", code, *arguments)


def test_it_is_no_larger_than_promised(image):
    assert int(docker("image", "inspect", "-f", "{{.Size}}", image).output) <= LARGEST_BYTES


def test_what_is_installed_is_the_lock(image):
    assert installed(image) == locked("gpu")


def test_the_container_toolkit_is_asked_for_gpus_libraries_and_nvidia_smi(image):
    environment = json.loads(docker("image", "inspect", "-f", "{{json .Config.Env}}", image).output)
    assert {"NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=compute,utility"} <= set(environment)


def test_each_library_of_cuda_opens_by_its_name(image):
    told = python(image, OPEN_EACH, *cuda.LIBRARIES)
    assert json.loads(told.output) == {name: [] for name in cuda.LIBRARIES}


def test_no_library_lacks_another_but_the_drivers(image):
    told = docker("run", "--rm", image, "bash", "-c", f"ldd {SITE}/nvidia/*/lib/*.so* | grep 'not found'")
    lacking = {line.split()[0] for line in told.output.splitlines()}
    assert lacking <= {cuda.DRIVER}


def test_what_tensorflow_opens_is_there_and_nothing_else_is(image):
    traced = ("-e", "LD_DEBUG=files", "-e", "LD_DEBUG_OUTPUT=/tmp/opened")
    code = f"python -c '{ASK_TENSORFLOW}' && grep -h 'dynamically loaded by.*libtensorflow_framework' /tmp/opened.*"
    told = docker("run", "--rm", *traced, image, "bash", "-c", code).output
    assert told.splitlines()[0] == "ok"
    asked = {line.partition("file=")[2].split()[0] for line in told.splitlines() if "file=lib" in line}
    tensorrt = {name for name in asked if name.startswith("libnvinfer")}  # optional: TensorFlow trains without
    assert asked - tensorrt - {cuda.DRIVER} == set(cuda.LIBRARIES) - OPENED_BY_OTHERS

    held = docker(
        "run", "--rm", image, "bash", "-c", f"find {SITE}/nvidia -name '*.so*' -printf '%f\\n'"
    ).output.split()
    assert set(held) == set(cuda.LIBRARIES)


def test_headers_static_libraries_and_tests_are_left_out(image):
    code = f"find {SITE} -name '*.a' -o -path '*/nvidia/*' -name '*.h' -o -path '*/tensorflow/include/*' | head -3"
    assert docker("run", "--rm", image, "bash", "-c", code).output == ""


def test_xla_has_its_assembler_and_its_bitcode_where_tensorflow_looks(image):
    told = docker(
        "run", "--rm", image, "bash", "-c", "/usr/local/cuda/bin/ptxas --version && ls /usr/local/cuda/nvvm/*"
    )
    assert told.status == 0 and "release 11.8" in told.output and "libdevice.10.bc" in told.output, told.output


def test_tensorflow_imports_clean(image):
    assert python(image, "import tensorflow") == (0, "")


def test_it_trains_on_the_cpu_and_says_so_in_one_line(image, opt_ml, no_gpu):
    opt_ml.configure(**{"rl.training.stop.training_iteration": "2", "rl.training.config.min_iter_time_s": "0"})
    ran = opt_ml.train(image)
    assert ran.status == 0 and "iteration    2" in ran.output, ran.output
    warnings = [line for line in ran.output.splitlines() if "gpu" in line.lower() or "cuda" in line.lower()]
    assert len(warnings) == 1 and "no GPU here, so the CPU trains" in warnings[0], ran.output
    assert (opt_ml.base / "model" / "policy.onnx").exists()


def test_doctor_tells_the_truth_on_a_host_without_a_gpu(image, no_gpu):
    told = docker("run", "--rm", image, "doctor")
    assert told.status == 4, told.output
    said = " ".join(told.output.split())
    assert "wrong GPUs none: libcuda.so.1: cannot open shared object file" in said and "--gpus all" in said
    assert "12 of 12 libraries load" in said
    assert len(told.output.splitlines()) <= 24

    as_json = docker("run", "--rm", image, "doctor", "--json")
    found = {finding["what"]: finding for finding in json.loads(as_json.output)["findings"]}
    assert found["GPUs"]["gpus"] == [] and found["GPUs"]["seen_by_tensorflow"] == 0
    assert found["CUDA"]["kernels"] == ["sm_35", "sm_50", "sm_60", "sm_70", "sm_75", "compute_80"]
    assert found["CUDA"]["libraries"] == dict.fromkeys(cuda.LIBRARIES)


@pytest.fixture
def a_gpu_without_a_driver(tmp_path, no_gpu):
    """Options for a container whose nvidia-smi lists a GPU that nothing can use."""
    program = tmp_path / "nvidia-smi"
    listed = '--list-gpus) echo "GPU 0: Tesla T4 (UUID: GPU-a)" ;;'
    program.write_text(f'#!/bin/sh\ncase "$*" in {listed} *) echo "Tesla T4, 535.183.01, 15360, 7.5" ;; esac\n')
    program.chmod(0o755)
    return ("-v", f"{program}:/usr/local/bin/nvidia-smi:ro")


def test_a_gpu_that_tensorflow_cannot_use_is_told_by_doctor(image, a_gpu_without_a_driver):
    told = docker("run", "--rm", *a_gpu_without_a_driver, image, "doctor")
    said = " ".join(told.output.split())
    assert told.status == 4 and "compute capability 7.5: reached natively; TensorFlow sees 0 of the 1" in said, said


def test_a_job_is_not_trained_on_the_cpu_where_its_gpu_cannot_be_used(image, opt_ml, a_gpu_without_a_driver):
    opt_ml.configure(**{"rl.training.config.num_gpus": "1", "rl.training.stop.training_iteration": "1"})
    ran = opt_ml.train(image, *a_gpu_without_a_driver)
    assert ran.status == 2, ran.output
    assert "rl.training.config.num_gpus = 1: nvidia-smi lists a GPU that TensorFlow cannot use" in opt_ml.failure
    assert opt_ml.failure.strip() in ran.output


def test_more_gpus_than_there_are_are_refused_before_ray_starts(image, opt_ml, a_gpu_without_a_driver):
    opt_ml.configure(**{"rl.training.config.num_gpus": "2"})
    ran = opt_ml.train(image, *a_gpu_without_a_driver)
    assert ran.status == 2 and "starting Ray" not in ran.output, ran.output
    assert "config.num_gpus = 2: this machine has 1 GPUs, so at most 1" in ran.output


def test_on_a_gpu_doctor_finds_nothing_wrong_and_catch_trains(image, opt_ml, a_gpu):
    assert docker("run", "--rm", "--gpus", "all", "--shm-size", "1g", image, "doctor").status == 0
    opt_ml.configure(**{"experiment": "catch", "rl.training.stop.training_iteration": "3"})
    ran = opt_ml.train(image, "--gpus", "all", "--shm-size", "1g", deadline_s=600)
    assert ran.status == 0 and "GPU)" in ran.output and "the CPU trains" not in ran.output, ran.output
    assert json.loads((opt_ml.base / "model" / "params.json").read_text())["num_gpus"] == 1
