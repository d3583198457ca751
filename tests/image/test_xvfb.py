"""The image with an X server built in: environments of one's own that draw by OpenGL have their videos."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Iterator, Tuple

import imageio_ffmpeg
import numpy as np
import pytest

from scripts.lib import debian, images
from scripts.lib.images import Image
from tests.image.containers import OptMl, Ran, docker
from tests.waiting import until

CODE = Path(__file__).parent / "drawing"
SHORT = {
    "sagemaker_program": "envs.py",
    "rl.training.env": "steps",
    "rl.training.stop.training_iteration": "1",
    "rl.training.config.timesteps_per_iteration": "0",
}
PACKAGES = debian.packages("--debian", "xvfb libgl1 libglu1-mesa")
SHOW_DISPLAY = ("python", "-c", "import os; print(os.environ.get('DISPLAY'))")


@pytest.fixture(scope="module")
def drawing(image: str) -> Iterator[Image]:
    """The image by `scripts/build --debian`: only what apt installs and what follows is not in the cache."""
    made = images.build("cpu", packages=PACKAGES)
    yield made
    docker("rmi", made.local)


@pytest.fixture(scope="module")
def trained(drawing: Image, tmp_path_factory: pytest.TempPathFactory) -> Tuple[OptMl, Ran]:
    opt_ml = OptMl(tmp_path_factory.mktemp("drawn") / "ml").configure(**SHORT)
    return opt_ml, opt_ml.train(drawing.id, *code())


def code() -> Tuple[str, ...]:
    return ("-v", f"{CODE}:/opt/ml/code:ro")


def pictures(video: Path) -> np.ndarray:
    """The pictures of a video, (count, 96, 128, 3) uint8."""
    raw = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(video), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    ).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, 96, 128, 3)


def assert_it_turns_green(videos: Path) -> None:
    drawn = pictures(next(iter(sorted(videos.glob("*.mp4")))))
    greens = [(picture[:, :, 1] > 128).mean() for picture in drawn]
    assert len(drawn) >= 8 and greens == sorted(greens)
    assert greens[0] == pytest.approx(0.25, abs=0.03) and greens[-1] == pytest.approx(0.75, abs=0.03)
    assert all(((picture[:, :, 0] > 128) | (picture[:, :, 1] > 128)).mean() > 0.95 for picture in drawn)


def test_its_names_are_its_own_and_its_label_lists_what_is_built_in(image: str, drawing: Image) -> None:
    read = ("image", "inspect", "--format", '{{index .Config.Labels "sagemaker-rllib.debian"}}')
    assert docker(*read, f"{images.NAME}:cpu-debian").output.strip() == "libgl1 libglu1-mesa xvfb"
    assert drawing.tag.startswith(f"cpu-{images.revision_of(images.ROOT).short}-debian-")
    assert docker("run", "--rm", image, "sh", "-c", "command -v Xvfb").output == ""


def test_training_draws_by_opengl_into_its_videos(trained: Tuple[OptMl, Ran]) -> None:
    opt_ml, ran = trained
    assert ran.status == 0 and "no videos" not in ran.output, ran.output
    assert_it_turns_green(opt_ml.base / "output" / "data" / "videos")


def test_evaluating_draws_by_opengl_into_its_videos(drawing: Image, trained: Tuple[OptMl, Ran], opt_ml: OptMl) -> None:
    opt_ml.configure(evaluate_episodes="2", sagemaker_program="envs.py")
    (opt_ml.base / "input" / "config" / "inputdataconfig.json").write_text('{"model": {}}')
    model = ("-v", f"{trained[0].base / 'model'}:/opt/ml/input/data/model:ro")
    ran = docker("run", *opt_ml.run_options(*code(), *model), drawing.id, "evaluate")
    assert ran.status == 0, ran.output
    assert_it_turns_green(opt_ml.base / "output" / "data" / "videos")


def test_a_program_of_ones_own_has_the_display_and_one_that_is_given_stays(drawing: Image, opt_ml: OptMl) -> None:
    opt_ml.configure(sagemaker_program="mine.py")
    (opt_ml.base / "code").mkdir()
    (opt_ml.base / "code" / "mine.py").write_text("import os; print('on', os.environ['DISPLAY'])")
    assert "on :99\n" in opt_ml.train(drawing.id).output
    assert "on remote:0\n" in opt_ml.train(drawing.id, "-e", "DISPLAY=remote:0").output
    assert docker("run", "--rm", drawing.id, *SHOW_DISPLAY).output == "None\n"


def test_the_x_server_runs_with_the_job_and_ends_with_it(drawing: Image, opt_ml: OptMl) -> None:
    opt_ml.configure(**{**SHORT, "rl.training.stop.training_iteration": "100000"})
    container = docker("run", "-d", *opt_ml.run_options(*code())[1:], drawing.id, "train").output.strip()
    try:
        until(lambda: "iteration" in docker("logs", container).output, 120)
        assert docker("top", container).output.count("Xvfb :99") == 1
        docker("stop", "--time", "120", container)
        assert docker("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", container).output == "exited 0\n"
        assert (opt_ml.base / "model" / "policy.onnx").exists(), "a stop saves the model first"
    finally:
        docker("rm", "--force", container)
