"""Which combinations can be, and can learn: every rule that spans several components."""

from collections.abc import Iterator
from itertools import product
from typing import Any

from study.config import StudyConfig
from study.space import Combination, OptionSpaces, needs
from trainables import catalogue

TYPICAL_WIDTH = 8


def problems(config: StudyConfig, combined: list[Combination], shape: tuple[int, ...]) -> list[str]:
    """Why combinations of this study cannot be or cannot learn, each problem once."""
    found = (
        problem for combination in combined for problem in _problems(config, combination, shape)
    )
    return list(dict.fromkeys(found))


def is_covered(aggregator: str) -> bool:
    """Whether the theorem speaks of an aggregator: its results stay in the members' convex hull."""
    return catalogue.load("aggregator", aggregator).outside_hull is None


def _problems(
    config: StudyConfig, combination: Combination, shape: tuple[int, ...]
) -> Iterator[str]:
    yield from _unfit_encoder(combination.encoder, shape)
    yield from _contradicting_options(combination)
    yield from _idle_aggregator(combination)
    yield from _unmet_needs(combination)
    aggregator = combination.aggregator.name
    if "relative_gap" in config.protocol.objectives and not is_covered(aggregator):
        reason = catalogue.load("aggregator", aggregator).outside_hull
        yield (
            f"protocol.objectives: relative_gap is not defined for aggregator {aggregator}: "
            f"{reason}; leave out one of the two"
        )


def _unfit_encoder(encoder: OptionSpaces, shape: tuple[int, ...]) -> Iterator[str]:
    unfit = catalogue.load("encoder", encoder.name).unfit(shape)
    if unfit:
        yield f"search.{encoder.path}: {unfit}"


def _contradicting_options(combination: Combination) -> Iterator[str]:
    """Rules across the options of one component, asked for every corner of its space."""
    for part in combination.parts():
        slot = part.path.split(".")[0]
        check = (
            getattr(catalogue.load(slot, part.name), "check", None) if part.name != slot else None
        )
        if check is not None:
            for values in _corners(part):
                yield from (f"search.{part.path}: {problem}" for problem in check(**values))


def _idle_aggregator(combination: Combination) -> Iterator[str]:
    """A learnable aggregator that the loss never looks at."""
    aggregator, loss = combination.aggregator, combination.loss
    learnable = catalogue.is_learnable(catalogue.load("aggregator", aggregator.name), TYPICAL_WIDTH)
    if learnable and "points" in loss.values("level"):
        yield (
            f"search.{loss.path}.level: aggregator {aggregator.name} cannot learn from a loss on "
            "points only; use groups or both"
        )


def _unmet_needs(combination: Combination) -> Iterator[str]:
    loss, training = combination.loss, combination.training
    needed = needs(loss)
    if "views" in needed and not combination.views:
        yield (
            f"search.{loss.path}: compares two views, but there are none; name some under "
            f"search.views, from {', '.join(catalogue.names('views'))}"
        )
    groups_per_class = training.values("groups_per_class")
    if "positives" in needed and 1 in groups_per_class and loss.values("level") != ["points"]:
        yield (
            "search.training.groups_per_class: must be at least 2, since "
            f"{loss.path} compares groups of one class"
        )
    if combination.views and "disjoint" in training.values("group_views"):
        yield from _odd_halves(groups_per_class)


def _odd_halves(groups_per_class: list[Any]) -> Iterator[str]:
    if len(groups_per_class) > 1 or groups_per_class[0] % 2:
        yield (
            "search.training.groups_per_class: must be one even number where group_views may be "
            f"disjoint, got {groups_per_class}"
        )


def _corners(part: OptionSpaces) -> Iterator[dict[str, Any]]:
    names = [*part.fixed, *part.searched]
    for values in product(*(part.values(name) for name in names)):
        yield dict(zip(names, values, strict=True))
