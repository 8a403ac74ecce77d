"""Everything that can be wrong with a study before it starts, found in one go."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from study import feasibility, legality, material
from study.config import DataSection, SearchSection, StudyConfig, validate
from study.errors import ConfigError
from study.space import Combination, combinations
from study.strict_yaml import read_yaml
from study.tracking_address import address_problem
from trainables.data import PointSet
from trainables.training import Rules, StudyData


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
        """Trials of the search, and confirmations, that the study holds when it ends."""
        budget, wanted = self.config.budget, self.config.protocol.confirmation
        confirmed = min(wanted.top, budget.trials_per_combination) * wanted.seeds
        return len(self.combinations) * (budget.trials_per_combination + confirmed)


def prepare(path: Path, root: Path, source: str | None = None) -> Study:
    """The study of a file, ready to run.

    Args:
        path: the study file.
        root: the folder of all studies.
        source: stands in for the file's ``data.source``.

    Raises:
        ConfigError: with every problem of the file, its components, its data and their fit.
    """
    content = read_yaml(path)
    if source is not None and isinstance(content.get("data"), dict):
        content["data"] = {**content["data"], "source": source}
    config, problems = validate(StudyConfig, content)
    combined, of_components = _combinations(content)
    points, of_points = _points(content)
    problems += of_components + of_points + _storage_problem(root)
    if config is not None:
        problems += address_problem(config.tracking.uri)
    if config is None or points is None or of_components:
        raise ConfigError(path, problems)
    problems += legality.problems(config, combined, points.shape)
    data, of_division = material.divide(config.data, config.seed, points)
    problems += of_division
    if data is not None and combined:
        problems += feasibility.problems(config, combined[0].training, data)
    if data is None or problems:
        raise ConfigError(path, problems)
    return Study(config, combined, data)


def _storage_problem(root: Path) -> list[str]:
    """Why no study folder can be made under ``root``; empty where it can."""
    existing = next(folder for folder in (root, *root.absolute().parents) if folder.exists())
    if not existing.is_dir():
        return [f"--root {root}: cannot hold studies; {existing} is not a folder"]
    if not os.access(existing, os.W_OK | os.X_OK):
        return [f"--root {root}: cannot hold studies; {existing} is not writable"]
    return []


def _combinations(content: dict[str, Any]) -> tuple[list[Combination], list[str]]:
    """Combinations of the search section, even where another section is wrong."""
    section, _ = validate(SearchSection, content.get("search"))
    return combinations(section) if section else ([], [])


def _points(content: dict[str, Any]) -> tuple[PointSet | None, list[str]]:
    """Points of the data section, even where another section is wrong."""
    section, _ = validate(DataSection, content.get("data"))
    return material.points(section) if section else (None, [])
