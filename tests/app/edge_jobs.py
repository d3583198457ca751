"""Jobs in the environments of ``edges/``, each at the edge of what is possible: trained, evaluated and served."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

from tests.app.jobs import Finished, Ran, local, run
from tests.app.serving import Served
from tests.app.test_evaluate import evaluation

EDGES, ANGLES = (Path(__file__).parent / name for name in ("edges", "angles"))
HERE = r" \(envs\.py:\d+\)"


def train(store: Path, *words: str, name: str = "edge", source: Path = EDGES) -> Ran:
    return run(local(*words, "--source", str(source), "--job", name, "--store", str(store)))


class Trained(NamedTuple):
    ran: Ran
    model: Path
    rewards: List[float]
    facts: Dict[str, Any]


def everywhere(store: Path, *words: str, source: Path = EDGES) -> Trained:
    """Trains and evaluates; the reward of each of three episodes."""
    ran = train(store, *words, source=source)
    assert ran.status == 0, ran
    model = Finished(store, "edge", ran).unpack("model.tar.gz", store / "model")
    asked = ("edge", "--episodes", "3", "videos=0", "--job", "played", "--store", str(store))
    played = run(evaluation(*asked))
    assert played.status == 0, played
    output = Finished(store, "played", played).unpack("output.tar.gz", store / "played-output")
    (found,) = json.loads((output / "evaluation.json").read_text())["models"]
    facts = json.loads((model / "policy.json").read_text())
    return Trained(ran, model, [each["reward"] for each in found["episodes"]], facts)


def served(model: Path, *observations: Any) -> List[Any]:
    with Served(model) as server:
        said = [server.post({"observations": each}) for each in observations]
        assert server.get("/").status == server.get("/openapi.json").status == 200
    assert [each.status for each in said] == [200] * len(said), said
    return [each.json["outputs"]["actions_0"][0] for each in said]
