"""Calls of a TensorFlow session that are made ready once."""

from __future__ import annotations

from typing import Any, Callable, List, Sequence

import numpy as np
from ray.rllib.utils import try_import_tf

try_import_tf()  # which configures TensorFlow before anything of it is imported
from tensorflow.core.protobuf.config_pb2 import CallableOptions  # noqa: E402

CALLERS_THREAD = -1


def ready(
    session: Any, fetches: Sequence[Any], feeds: Sequence[Any], callers_thread: bool = False
) -> Callable[..., List[Any]]:
    """Return a function of arrays for the ``feeds``, in the type that these have, which gives the ``fetches``.

    ``Session.make_callable`` hands anything with feeds over to ``Session.run``, whose Python takes longer than a
    small network. In the caller's thread runs all of a session of one thread, and what asks for it: waking another
    one takes twice as long as a small network, and where one operation follows the other nothing is gained by it.
    """
    options = CallableOptions()
    options.fetch.extend(tensor.name for tensor in fetches)
    options.feed.extend(tensor.name for tensor in feeds)
    if callers_thread or (session._config is not None and session._config.inter_op_parallelism_threads == 1):
        options.run_options.inter_op_thread_pool = CALLERS_THREAD
    dtypes = [tensor.dtype.as_numpy_dtype for tensor in feeds]
    run = session._make_callable_from_options(options)
    return lambda *values: run(*(np.asarray(value, dtype) for value, dtype in zip(values, dtypes)))


def load_quickly(session: Any, variable: Any) -> None:
    """Have a variable's ``load`` be a call made ready once: RLlib loads three of them for each batch or so."""
    value, loaded = variable.initializer.inputs[1], variable.initializer.outputs[0]
    call = ready(session, [loaded], [value])
    variable.load = lambda number, session=None: call(number)
