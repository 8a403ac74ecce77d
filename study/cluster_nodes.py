"""What every node of a cluster must have: this program, and the folder of the study."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from study.errors import ConfigError
from trainables import catalogue
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
    nodes = [node for node in ray.nodes() if node["Alive"]]
    if [node["NodeID"] for node in nodes] == [ray.get_runtime_context().get_node_id()]:
        return
    mark = folder.absolute() / f".seen-{uuid4().hex}" if isinstance(folder, Path) else None
    if mark:
        mark.touch()
    try:
        answers = _answers(nodes, list(_programs()), str(mark) if mark else None)
    finally:
        if mark:
            mark.unlink(missing_ok=True)
    problems = [
        f"node {node['NodeManagerAddress']}: {problem}"
        for node, answer in zip(nodes, answers, strict=True)
        for problem in _problems(folder, answer)
    ]
    if problems:
        raise ConfigError("cluster", problems)


def _programs() -> dict[str, str]:
    """Versions of what every node must have: this program, and what adds components to it."""
    return {PROGRAM: version(PROGRAM)} | catalogue.plug_in_versions()


def _answers(nodes: list[dict[str, Any]], names: list[str], mark: str | None) -> list[Any]:
    """What each node says, or the error that kept it from answering, or None."""
    asked = ray.remote(num_cpus=0, max_retries=0)(_question())
    references = [
        asked.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(names, mark)
        for node in nodes
    ]
    ready, _ = ray.wait(references, num_returns=len(references), timeout=ANSWER_SECONDS)
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
        lines = str(answer).splitlines() or ["gave no reason"]
        silent = f"did not answer in {ANSWER_SECONDS:g} seconds"
        return [silent if answer is None else f"cannot run tasks: {lines[0]}"]
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
