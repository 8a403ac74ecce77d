"""Everything that can be wrong with a study before it starts, found in one go."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from study import confirmation, fairness, feasibility, legality, material, warm_start
from study import root as root_folder
from study.addresses import database_problems, tracking_problems
from study.config import (
    AlgorithmSection,
    BudgetSection,
    DataSection,
    ProtocolSection,
    SearchSection,
    StudyConfig,
)
from study.errors import ConfigError
from study.space import Combination, SearchSpace, search_space
from study.strict_yaml import read_yaml
from study.validation import contradictions, sound, validate
from trainables.data import PointSet
from trainables.places import Place
from trainables.tasks import Rules, StudyData


@final
@dataclass(frozen=True)
class Study:
    """A study that can be run: checked configuration, its combinations, and its data."""

    config: StudyConfig
    combinations: list[Combination]
    data: StudyData

    @property
    def rules(self) -> Rules:
        """How its trials are judged."""
        config = self.config
        return material.rules(config.protocol, config.seed, config.algorithm.report_every)

    @property
    def planned_trials(self) -> int:
        """Trials that the study holds when it ends: of the search, and those read on the test."""
        return confirmation.planned_trials(self.config, len(self.combinations))


def prepare(path: Path, root: Place, source: str | None = None) -> Study:
    """The study of a file, ready to run.

    Each section is judged by itself and with those that it must fit, as far as these are right, so
    that one mistake hides no other.

    Args:
        path: the study file.
        root: the folder of all studies.
        source: stands in for the file's ``data.source``.

    Raises:
        ConfigError: with every problem of the file, its components, its data and their fit.
    """
    content = _content(path, source)
    config, problems = validate(StudyConfig, content)
    space, of_components = search_space(sound(SearchSection, content.get("search")))
    points, of_points = _points(content)
    protocol, _ = validate(ProtocolSection, content.get("protocol", {}))
    algorithm, _ = validate(AlgorithmSection, content.get("algorithm", {}))
    budget, _ = validate(BudgetSection, content.get("budget", {}))
    data, of_division = _divided(content, points)
    right = sound(StudyConfig, content)
    tracking = right.get("tracking", {}).get("uri")
    database = right.get("storage", {}).get("database")
    problems += [
        *of_components,
        *contradictions(protocol, algorithm, budget),
        *tracking_problems(tracking),
        *database_problems(database),
        *root_folder.problems(root, config.name if config else "", database, tracking),
        *of_points,
        *of_division,
        *legality.problems(space, points.shape if points else None, protocol),
        *fairness.problems(space),
        *_shortages(protocol, space, data),
        *warm_start.problems(algorithm, root, space.combinations),
    ]
    if config is None or data is None or problems:
        raise ConfigError(path, problems)
    return Study(config, space.combinations, data)


def _content(path: Path, source: str | None) -> dict[str, Any]:
    """What the file holds, with the source of the command line if there is one."""
    content = read_yaml(path)
    section = content.get("data", {})
    if source is not None and isinstance(section, dict):
        content["data"] = {**section, "source": source}
    return content


def _points(content: dict[str, Any]) -> tuple[PointSet | None, list[str]]:
    """Points of the data section, even where another key or section is wrong."""
    section = content.get("data")
    if not isinstance(section, dict):
        return None, []
    right = sound(DataSection, section)
    if "source" in section and "source" not in right:
        return None, []
    return material.points(right.get("source"))


def _divided(
    content: dict[str, Any], points: PointSet | None
) -> tuple[StudyData | None, list[str]]:
    """Division of the points, where the keys that decide on it are right."""
    section, _ = validate(DataSection, content.get("data"))
    seed = sound(StudyConfig, {"seed": 0, **content}).get("seed")
    if section is None or seed is None or points is None:
        return None, []
    return material.divide(section, seed, points)


def _shortages(
    protocol: ProtocolSection | None, space: SearchSpace, data: StudyData | None
) -> list[str]:
    """Groups that the data cannot supply, as far as data and groups are known."""
    if data is None:
        return []
    return feasibility.problems(protocol.sizes if protocol else None, space.training, data)
