"""What every node of a cluster must have: this program, the study's folder, and large points."""

import pickle
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from study.errors import ConfigError
from trainables import catalogue
from trainables.data import DataError, PointSet
from trainables.places import Place

PROGRAM = "groupstudy"
ANSWER_SECONDS = 120.0


def refuse_unless_ready(folder: Place) -> None:
    """Asks each node of the connected cluster for this program's version and the study's folder.

    Nothing is asked where the driver's own node is all there is, and no folder where the studies
    lie on an object store.

    Raises:
        ConfigError: naming every node that lacks something, and what.
    """
    nodes = _nodes()
    if not nodes:
        return
    mark = folder.absolute() / f".seen-{uuid4().hex}" if isinstance(folder, Path) else None
    if mark:
        mark.touch()
    try:
        seen = str(mark) if mark else None
        answers = _answers(nodes, ANSWER_SECONDS, _question(), list(_programs()), seen)
    finally:
        if mark:
            mark.unlink(missing_ok=True)
    _refuse(nodes, [_problems(folder, answer) for answer in answers])


def refuse_unless_mapped(points: PointSet) -> None:
    """Has each node map points that are too large to travel; those that never did decode them now.

    Nothing is asked where points travel, or the driver's own node is all there is.

    Raises:
        ConfigError: naming every node that cannot map them, and why.
    """
    nodes = _nodes() if points.remap else []
    answers = _answers(nodes, None, _mapping_problems, pickle.dumps(points)) if nodes else []
    _refuse(nodes, [a if isinstance(a, list) else [_silence(a)] for a in answers])


def _nodes() -> list[dict[str, Any]]:
    """Every node; none where the driver's own is all there is."""
    nodes = [node for node in ray.nodes() if node["Alive"]]
    own = ray.get_runtime_context().get_node_id()
    return [] if [node["NodeID"] for node in nodes] == [own] else nodes


def _refuse(nodes: list[dict[str, Any]], problems: list[list[str]]) -> None:
    found = [
        f"node {node['NodeManagerAddress']}: {problem}"
        for node, of_node in zip(nodes, problems, strict=True)
        for problem in of_node
    ]
    if found:
        raise ConfigError("cluster", found)


def _mapping_problems(pickled: bytes) -> list[str]:
    try:
        pickle.loads(pickled)
    except DataError as error:
        return error.problems
    return []


def _programs() -> dict[str, str]:
    """Versions of what every node must have: this program, and what adds components to it."""
    return {PROGRAM: version(PROGRAM)} | catalogue.plug_in_versions()


def _answers(
    nodes: list[dict[str, Any]], seconds: float | None, question: Callable[..., Any], *about: Any
) -> list[Any]:
    """What each node says, or the error that kept it from answering, or None after so long."""
    asked = ray.remote(num_cpus=0, max_retries=0)(question)
    shared = [ray.put(argument) for argument in about]
    references = [
        asked.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(*shared)
        for node in nodes
    ]
    ready, _ = ray.wait(references, num_returns=len(references), timeout=seconds)
    return [_answer(reference) if reference in ready else None for reference in references]


def _answer(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        return error


def _question() -> Callable[[list[str], str | None], dict[str, Any]]:
    """What is run on a node; made in here it travels whole, to nodes that lack this program too."""

    def question(names: list[str], mark: str | None) -> dict[str, Any]:
        from importlib.metadata import PackageNotFoundError, version
        from importlib.util import find_spec
        from pathlib import Path

        def installed(name: str) -> str | None:
            try:
                return version(name)
            except PackageNotFoundError:
                return None

        has_program = find_spec("trainables") is not None
        versions = {name: installed(name) if has_program else None for name in names}
        return {"versions": versions, "sees": mark is None or Path(mark).exists()}

    return question


def _problems(folder: Place, answer: Any) -> list[str]:
    if not isinstance(answer, dict):
        return [_silence(answer)]
    problems = []
    for name, here in _programs().items():
        there = answer["versions"][name]
        if there != here:
            found = f"has {name} {there}" if there else f"has no {name}"
            problems.append(f"{found}, the launch {here}; install the same one on every node")
    if not answer["sees"]:
        problems.append(
            f"does not see {folder.absolute()}; give --root a folder that all nodes share under "
            "one path, or an object store"
        )
    return problems


def _silence(error: Exception | None) -> str:
    """Why a node gave no answer."""
    if error is None:
        return f"did not answer in {ANSWER_SECONDS:g} seconds"
    return f"cannot run tasks: {(str(error).splitlines() or ['gave no reason'])[0]}"
