"""A warm start: the best configurations of an earlier study, which a new one tries first."""

from typing import Any

from study import confirmation
from study.config import AlgorithmSection, WarmStartSection
from study.errors import RecordError
from study.record import Record, Trial
from study.searched_values import searched_values
from study.space import Combination
from trainables.places import Place


def problems(
    algorithm: AlgorithmSection | None, root: Place, combinations: list[Combination]
) -> list[str]:
    """Why a study cannot start from the one that its algorithm section names."""
    if algorithm is None or algorithm.warm_start is None:
        return []
    where = "algorithm.warm_start.study"
    try:
        labels = {trial.combination for trial in _best(algorithm.warm_start, root)}
    except RecordError as error:
        return [f"{where}: {algorithm.warm_start.study} {problem}" for problem in error.problems]
    if labels.isdisjoint(combination.label for combination in combinations):
        known = f"it has {', '.join(sorted(labels))}" if labels else "it has no complete trial"
        return [f"{where}: no combination of this study has a complete trial there; {known}"]
    return []


def proposals(
    section: WarmStartSection, root: Place, combination: Combination
) -> list[dict[str, Any]]:
    """Values of searched parameters, best first: what the earlier study found, where it is allowed.

    A parameter that the earlier study did not have, or whose value lies outside of this study's
    space, is left out, for the sampler to propose.
    """
    found = [trial for trial in _best(section, root) if trial.combination == combination.label]
    return [searched_values(combination, trial.configuration) for trial in found[: section.top]]


def _best(section: WarmStartSection, root: Place) -> list[Trial]:
    """Complete trials of the earlier study's search, best first.

    Raises:
        RecordError: if there is no such study.
    """
    record = Record(root / section.study)
    return [result.trial for result in confirmation.best(record.config, record.results())]
