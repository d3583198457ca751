"""Whether a policy with classes of the user's own can stand alone as a graph: asked before it is trained."""

from __future__ import annotations

from typing import Any, Iterator, Mapping

import numpy as np

from rl_app.errors import UserError
from rl_app.job import agents
from rl_app.job.settings import PREFIX
from rl_app.job.values import shown
from rl_app.policy.freezing import FrozenPolicy, freeze
from rl_app.policy.onnx_conversion import import_graph, sampled_outputs
from rl_app.policy.own_classes import chosen

TELL = "export=false trains it all the same, and leaves checkpoints and no model"


def check_exportable(policy: Any) -> None:
    """Raise UserError where an RLlib policy cannot be exported, with what of it cannot."""
    reason = next(_obstacles(policy), None)
    if reason:
        own = ", ".join(f"{setting} = {shown(name)}" for setting, name in chosen(policy.config).items())
        raise UserError(f"{PREFIX}config.model.{own}: cannot be exported: {reason}; {TELL}")


def check_classes(multiagent: Mapping[str, Any]) -> None:
    """Raise UserError where a policy is of a class of the user's that has no TensorFlow in it, as a heuristic."""
    for name, policy in multiagent[agents.POLICIES].items():
        kind = None if isinstance(policy, Mapping) or not policy else policy[0]
        if kind and not any(each.__module__ == "ray.rllib.policy.tf_policy" for each in kind.__mro__):
            what = f"is a {kind.__name__}, which is no TFPolicy, so that no model can be made of it"
            raise UserError(f"{agents.PATH}.{agents.POLICIES}.{name}: {what}; {TELL}")


def _obstacles(policy: Any) -> Iterator[str]:
    for number, state in enumerate(policy.get_initial_state()):
        if np.ndim(state) != 1 or np.any(state):
            yield f"state {number} of its memory begins as another thing than a row of zeros"
    try:
        frozen = freeze(policy)
    except Exception as error:  # the user's own code, and whatever it raises
        yield f"its deterministic action: {_words(error)}"
        return
    python = sorted({node.op for node in frozen.graph_def.node if "PyFunc" in node.op})
    if python:
        yield f"it calls Python as it acts, by {' and '.join(python)}"
    yield from _alone(policy, frozen)


def _alone(policy: Any, frozen: FrozenPolicy) -> Iterator[str]:
    """Yield what goes wrong where the frozen graph acts by itself, on the observations that the policy acts on."""
    from ray.rllib.utils import try_import_tf

    tf = try_import_tf()
    feeds, expected = sampled_outputs(policy, frozen)
    with tf.Graph().as_default() as graph:
        inputs = {name: tf.placeholder(*frozen.placeholders[name], name=name) for name in feeds}
        outputs = import_graph(tf, frozen, inputs)
        try:
            with tf.Session(graph=graph) as session:
                found = session.run(
                    {name: outputs[name] for name in expected}, {inputs[name]: fed for name, fed in feeds.items()}
                )
        except Exception as error:  # of TensorFlow's
            yield f"without its trainer it does not run: {_words(error)}"
            return
    for name, actions in expected.items():
        if not np.allclose(found[name], actions, rtol=1e-5, atol=1e-5, equal_nan=True):
            yield f"it gives other {name} each time for one observation"


def _words(error: Exception) -> str:
    lines = str(error).strip().splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[0]}"
