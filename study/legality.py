"""Which combinations can be, and can learn: every rule that spans several components."""

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

from optuna.distributions import IntDistribution

from study.config import ProtocolSection
from study.space import Combination, OptionSpaces, SearchSpace, needs
from trainables import catalogue
from trainables.aggregation import learns_from

TYPICAL_WIDTH = 8


def problems(
    space: SearchSpace,
    shape: tuple[int, ...] | None,
    protocol: ProtocolSection | None,
) -> list[str]:
    """Why combinations of this study cannot be or cannot learn, each problem once.

    Args:
        space: what is searched; options that are wrong by themselves are not judged.
        shape: of a point, or None if the data cannot be read.
        protocol: how combinations are judged, or None if the file does not say it well.
    """
    combined = space.combinations
    parts = {part.path: part for combination in combined for part in combination.parts()}
    pairs = {(c.aggregator.path, c.loss.path): (c.aggregator, c.loss) for c in combined}
    models = {(c.encoder.name, c.aggregator.name): (c.encoder, c.aggregator) for c in combined}
    found = [
        *(problem for part in parts.values() if shape for problem in _unfit(part, shape)),
        *(problem for part in parts.values() for problem in _contradicting_options(part)),
        *(p for pair in pairs.values() for p in _idle_aggregator(*pair, space.training)),
        *(p for pair in models.values() if shape for p in _nothing_learns(*pair, shape)),
        *_unmet_needs(space),
        *(problem for c in combined for problem in _missing_logits(c)),
        *(_unfit_protocol(combined, protocol) if protocol else ()),
    ]
    return list(dict.fromkeys(found))


@cache
def is_covered(aggregator: str) -> bool:
    """Whether the theorem speaks of an aggregator: its results stay in the members' convex hull."""
    return catalogue.load("aggregator", aggregator).outside_hull is None


def _unfit(part: OptionSpaces, shape: tuple[int, ...]) -> Iterator[str]:
    """An encoder or views that points of this shape do not fit."""
    slot = part.path.split(".")[0]
    if slot in ("encoder", "views"):
        unfit = catalogue.load(slot, part.name).unfit(shape)
        if unfit:
            yield f"search.{part.path}: {unfit}"


def _nothing_learns(
    encoder: OptionSpaces, aggregator: OptionSpaces, shape: tuple[int, ...]
) -> Iterator[str]:
    """An encoder and an aggregator that hold no parameter at all."""
    choices = _choices(aggregator)
    if len(_learnable(aggregator, choices)) == len(choices):
        return
    component = catalogue.load("encoder", encoder.name)
    if component.unfit(shape) is None and not catalogue.is_learnable(component, shape):
        yield (
            f"search.{encoder.path}: learns nothing, and neither does aggregator "
            f"{aggregator.name}; use an aggregator that learns"
        )


def _contradicting_options(part: OptionSpaces) -> Iterator[str]:
    """Rules across the options of one component, asked for every corner of its space."""
    if part.path == "training":
        return
    slot = part.path.split(".")[0]
    check = getattr(catalogue.load(slot, part.name), "check", None)
    if check is not None:
        for values in part.corners():
            yield from (f"search.{part.path}.{problem}" for problem in check(**values))


def _idle_aggregator(
    aggregator: OptionSpaces, loss: OptionSpaces, training: OptionSpaces
) -> Iterator[str]:
    """An aggregator that such groups cannot train, or a learnable one that no loss looks at."""
    component, choices = catalogue.load("aggregator", aggregator.name), _choices(aggregator)
    learnable, levels = _learnable(aggregator, choices), set(loss.values("level"))
    trained = learnable if levels == {"points"} else choices
    smallest = min(training.values("group_size"), default=2)
    if not all(learns_from(component(TYPICAL_WIDTH, **chosen), smallest) for chosen in trained):
        yield (
            f"search.training.group_size: aggregator {aggregator.name} cannot learn from groups of "
            f"{smallest}; begin at a larger size"
        )
    if "points" in levels and learnable:
        yield (
            f"search.{loss.path}.level: aggregator {aggregator.name} cannot learn from a loss on "
            "points only; use groups or both"
        )


def _choices(aggregator: OptionSpaces) -> list[dict[str, Any]]:
    """What its switches and words may say together, on which it depends whether it learns."""
    values = {name: aggregator.values(name) for name in (*aggregator.fixed, *aggregator.searched)}
    told = {name: v for name, v in values.items() if all(isinstance(one, bool | str) for one in v)}
    return [dict(zip(told, chosen, strict=True)) for chosen in product(*told.values())]


def _learnable(aggregator: OptionSpaces, choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    component = catalogue.load("aggregator", aggregator.name)
    return [c for c in choices if catalogue.is_learnable(component, TYPICAL_WIDTH, **c)]


def _unfit_protocol(combined: list[Combination], protocol: ProtocolSection) -> Iterator[str]:
    """What is asked of combinations that they cannot give."""
    if "relative_gap" in protocol.objectives:
        yield from _undefined_gaps(combined)
    if protocol.normalize:
        yield from _idle_constants(combined)
    if protocol.group_aware:
        yield from _untold_groups(combined)


def _undefined_gaps(combined: list[Combination]) -> Iterator[str]:
    for aggregator in dict.fromkeys(combination.aggregator.name for combination in combined):
        reason = catalogue.load("aggregator", aggregator).outside_hull
        if reason is not None:
            yield (
                f"protocol.objectives: relative_gap is not defined for aggregator {aggregator}: "
                f"{reason}; leave out one of the two"
            )


def _idle_constants(combined: list[Combination]) -> Iterator[str]:
    """A limit on how far an encoder stretches distances, whose embeddings are then stretched."""
    for encoder in dict.fromkeys(combination.encoder.name for combination in combined):
        if catalogue.load("encoder", encoder).certifies:
            yield (
                f"search.encoder.{encoder}: its bound has no effect on embeddings of length 1; set "
                "protocol.normalize to false"
            )


def _untold_groups(combined: list[Combination]) -> Iterator[str]:
    """Judging by latent groups that no encoder tells apart."""
    encoders = {combination.encoder.name for combination in combined}
    if encoders and not any(catalogue.load("encoder", name).tells_groups for name in encoders):
        yield (
            "protocol.group_aware: no encoder here tells latent groups apart; use one inside "
            f"groupface, as groupface{catalogue.INSIDE}{min(encoders)}"
        )


def _unmet_needs(space: SearchSpace) -> Iterator[str]:
    losses = {combination.loss.path: combination.loss for combination in space.combinations}
    needed = {path: needs(loss) for path, loss in losses.items()}
    disjoint = "disjoint" in space.training.values("group_views")
    for path, of_loss in needed.items():
        if "views" in of_loss and not space.has_views:
            yield (
                f"search.{path}: compares two views, but there are none; name some under "
                f"search.views, from {', '.join(catalogue.names('views'))}"
            )
        if "positives" in of_loss:
            least = 4 if disjoint and "views" in of_loss else 2
            yield from _lonely_rows(losses[path], space.training, least)
    if any("views" in of_loss for of_loss in needed.values()):
        yield from _odd_halves(space.training) if disjoint else ()
    elif losses and all(loss.is_sound for loss in losses.values()):
        yield from _idle_views(space, disjoint)


def _missing_logits(combination: Combination) -> Iterator[str]:
    """A loss on the latent groups of an encoder that has none."""
    loss, encoder = combination.loss, combination.encoder
    component = catalogue.load("encoder", encoder.name)
    if "group_logits" in needs(loss) and not component.tells_groups:
        yield (
            f"search.{loss.path}: names latent groups, which encoder {encoder.name} does not tell "
            f"apart; use groupface{catalogue.INSIDE}{encoder.name}"
        )


def _idle_views(space: SearchSpace, disjoint: bool) -> Iterator[str]:
    idle = {"search.views": space.has_views, "search.training.group_views": disjoint}
    for path in (path for path, is_set in idle.items() if is_set):
        yield f"{path}: has no effect, since no loss here compares views; leave it out"


def _lonely_rows(loss: OptionSpaces, training: OptionSpaces, least: int) -> Iterator[str]:
    """A loss that compares rows of one class, of which a step may hold only one."""
    levels = set(loss.values("level"))
    groups = min(training.values("groups_per_class"), default=least)
    if levels & {"groups", "both"} and groups < least:
        yield (
            f"search.training.groups_per_class: must be at least {least}, since search.{loss.path} "
            f"compares groups of one class, got {groups}"
        )
    elif levels == {"points"} and groups * min(training.values("group_size"), default=2) < 2:
        yield (
            "search.training.group_size: must be at least 2 where groups_per_class is 1, since "
            f"search.{loss.path} compares points of one class, got 1"
        )


def _odd_halves(training: OptionSpaces) -> Iterator[str]:
    values = training.values("groups_per_class")
    match training.searched.get("groups_per_class"):
        case IntDistribution(low=low, high=high, step=step) if low < high:
            values = [low, low + step]
    if any(value % 2 for value in values):
        yield (
            "search.training.groups_per_class: must be even where group_views may be disjoint, "
            f"got {', '.join(map(str, values))}"
        )
