"""What YAML gave, held against a model and the rules across keys; all problems at once."""

from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from study.config import LONGEST_NAME, AlgorithmSection, BudgetSection, ProtocolSection
from trainables.wording import broken_rule, nearest, shown

Section = TypeVar("Section", bound=BaseModel)


def validate(model: type[Section], content: Any) -> tuple[Section | None, list[str]]:
    """A section from what YAML gave, or None and every problem with it."""
    try:
        return model.model_validate(content), []
    except ValidationError as error:
        return None, [_problem(model, item) for item in _errors(error)]


def contradictions(
    protocol: ProtocolSection | None,
    algorithm: AlgorithmSection | None,
    budget: BudgetSection | None,
) -> list[str]:
    """Rules across keys and sections; None stands for a section that is wrong by itself."""
    problems = _protocol_problems(protocol) if protocol else []
    if budget and budget.gpu_share == "measured" and not 0 < budget.gpus_per_pack <= 1:
        problems.append(
            "budget.gpu_share: a share is measured of one GPU; say `gpus_per_pack: 1`, or "
            "`gpu_share: given`"
        )
    if algorithm and budget and algorithm.sampler == "cmaes" and budget.alike:
        problems.append("budget.alike: cmaes models all parameters or none; say `alike: false`")
    if protocol and algorithm and len(protocol.objectives) > 1:
        if algorithm.pruner != "none":
            problems.append("algorithm.pruner: two objectives cannot be pruned; say `pruner: none`")
        if algorithm.sampler == "cmaes":
            problems.append(
                "algorithm.sampler: cmaes cannot search for two objectives; use tpe, gp or nsga2"
            )
    return problems


def _protocol_problems(protocol: ProtocolSection) -> list[str]:
    sizes, objectives = protocol.sizes, protocol.objectives
    problems = []
    if len(set(sizes)) < len(sizes):
        problems.append(f"protocol.sizes: must hold each size once, got {list(sizes)}")
    if protocol.selecting_size not in sizes:
        problems.append(f"protocol.size: must be one of sizes {list(sizes)}, got {protocol.size}")
    if objectives not in (("quality",), ("quality", "relative_gap")):
        problems.append(
            "protocol.objectives: must be [quality] or [quality, relative_gap], got "
            f"[{', '.join(objectives)}]"
        )
    return problems


def sound(model: type[BaseModel], content: Any) -> dict[str, Any]:
    """The keys of a section that are right by themselves, whatever is wrong with the others."""
    if not isinstance(content, dict):
        return {}
    try:
        model.model_validate(content)
    except ValidationError as error:
        wrong = {item["loc"][0] for item in error.errors()}
        return {key: value for key, value in content.items() if key not in wrong}
    return content


def _errors(error: ValidationError) -> list[dict[str, Any]]:
    """What pydantic found, without its complaint that a list of wrong values is empty."""
    found = [dict(item) for item in error.errors()]
    return [e for e in found if e["type"] != "too_short" or not e["input"]]


def _problem(model: type[BaseModel], error: dict[str, Any]) -> str:
    path = [str(part) for part in error["loc"]]
    where = ".".join(path)
    if error["type"] == "extra_forbidden":
        return f"{where}: no such key; {nearest(path[-1], _fields(model, path[:-1]))}"
    if error["type"] == "string_pattern_mismatch" and path[-1] in ("name", "study"):
        return (
            f"{where}: must be 1 to {LONGEST_NAME} letters, digits, `.`, `-` or `_`, beginning "
            f"with a letter, a digit or `_`, got {shown(error['input'])}"
        )
    return f"{where}: {broken_rule(error)}"


def _fields(section: Any, path: list[str]) -> list[str]:
    """Keys that the section at ``path`` may hold."""
    for part in path:
        kind = section.model_fields[part].annotation
        section = next(iter(get_args(kind)), kind)
    return list(section.model_fields)
