"""What a person is told of errors of TensorFlow's, whose text ends with where its graph was made."""

from __future__ import annotations

from typing import Any

import pytest

from rl_app.errors import reason_of


@pytest.fixture(scope="module")
def tf() -> Any:
    from ray.rllib.utils import try_import_tf

    return try_import_tf()


def raised(tf: Any, make: Any) -> BaseException:
    """What running a tensor raises that ``make`` adds to a graph of its own, as a policy's session raises it."""
    with tf.Graph().as_default(), tf.Session() as session, pytest.raises(tf.errors.OpError) as caught:
        session.run(make())
    return caught.value


def test_the_useful_line_of_tensorflows_is_shown(tf: Any) -> None:
    def mislabelled() -> Any:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.constant([2]), logits=tf.zeros([1, 2]))

    error = raised(tf, mislabelled)
    assert str(error).strip().splitlines()[-1].strip().startswith("ret = Operation.from_node_def(")
    said = (
        "InvalidArgumentError: Received a label value of 2 which is outside the valid range of [0, 2).  Label values: 2"
    )
    assert reason_of(error) == said


def test_so_is_that_of_numbers_that_are_not_finite(tf: Any) -> None:
    error = raised(tf, lambda: tf.debugging.check_numerics(tf.constant(float("nan")), "the loss"))
    assert reason_of(error) == "InvalidArgumentError: the loss : Tensor had NaN values"


def test_so_is_that_of_a_workers(tf: Any) -> None:
    error = raised(tf, lambda: tf.debugging.check_numerics(tf.constant(float("nan")), "the loss"))
    text = f'ray::RolloutWorker.sample() (pid=1, ip=1)\n  File "x.py", line 1, in f\n{_kind(error)}: {error}'
    assert reason_of(RuntimeError(text)) == "InvalidArgumentError: the loss : Tensor had NaN values"


def _kind(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__name__}"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("one\ntwo"), "ValueError: two"),
        (ValueError(), "ValueError: no message"),
        (ImportError("Detected at node"), "ImportError: Detected at node"),
    ],
)
def test_of_all_others_it_is_the_last(error: Exception, said: str) -> None:
    assert reason_of(error) == said
