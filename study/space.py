"""The combinations of a study and their search spaces; owns the flat parameter names."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
from random import Random
from typing import Any, final

from optuna import Trial
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from study import ranges
from trainables import catalogue
from trainables.configuration import Component, Configuration, Training
from trainables.wording import meant, nearest

MOST_CORNERS = 1024


@final
@dataclass(frozen=True)
class OptionSpaces:
    """Spaces of all options of one component, or of the training; ``path`` is ``loss.triplet``.

    Where the study file is wrong about options (``is_sound`` is False), these are left out: nothing
    is known of them, and no rule across options can be judged.
    """

    path: str
    fixed: Mapping[str, Any]
    searched: Mapping[str, BaseDistribution]
    is_sound: bool = True

    @property
    def name(self) -> str:
        """The component's own name."""
        return self.path.split(".")[-1]

    def values(self, option: str) -> list[Any]:
        """Values an option may take: its fixed one, its choices, or the ends of its range.

        None where the study file is wrong about it.
        """
        if option in self.fixed:
            return [self.fixed[option]]
        match self.searched.get(option):
            case CategoricalDistribution(choices=choices):
                return list(choices)
            case IntDistribution(low=low, high=high) | FloatDistribution(low=low, high=high):
                return [low, high]
        return []

    def corners(self) -> Iterator[dict[str, Any]]:
        """Combinations of the options' values; a seeded sample where there are very many.

        The sample holds every value of every option.
        """
        names = [*self.fixed, *self.searched]
        values = [self.values(name) for name in names]
        if not self.is_sound:
            return
        if prod(map(len, values)) <= MOST_CORNERS:
            drawn: Iterable[tuple[Any, ...]] = product(*values)
        else:
            random = Random(0)
            columns = [_shuffled_cycle(of_option, random) for of_option in values]
            drawn = zip(*columns, strict=True)
        for corner in drawn:
            yield dict(zip(names, corner, strict=True))

    def propose(self, trial: Trial) -> dict[str, Any]:
        """A value for every option, the searched ones from Optuna."""
        proposed = {
            option: _suggest(trial, f"{self.path}.{option}", distribution)
            for option, distribution in self.searched.items()
        }
        return {**self.fixed, **proposed}


@final
@dataclass(frozen=True)
class Combination:
    """One encoder, one aggregator and one loss, with the spaces of everything they need."""

    encoder: OptionSpaces
    aggregator: OptionSpaces
    loss: OptionSpaces
    views: tuple[OptionSpaces, ...]
    training: OptionSpaces

    @property
    def label(self) -> str:
        """The combination by name, as ``mlp+mean+triplet``."""
        return "+".join(part.name for part in (self.encoder, self.aggregator, self.loss))

    def parts(self) -> Iterator[OptionSpaces]:
        """Everything with options, in the order of the study file."""
        yield from (self.encoder, self.aggregator, self.loss, *self.views, self.training)

    def distributions(self) -> dict[str, BaseDistribution]:
        """Every searched parameter by flat name."""
        views = {"views": _views_choice(self.views)} if len(self.views) > 1 else {}
        return {
            **views,
            **{f"{p.path}.{o}": d for p in self.parts() for o, d in p.searched.items()},
        }

    def propose(self, trial: Trial) -> Configuration:
        """The configuration Optuna proposes for a trial; proposing again gives the same."""
        return Configuration(
            Component(self.encoder.name, self.encoder.propose(trial)),
            Component(self.aggregator.name, self.aggregator.propose(trial)),
            Component(self.loss.name, self.loss.propose(trial)),
            self._propose_views(trial),
            Training(**self.training.propose(trial)),
        )

    def _propose_views(self, trial: Trial) -> Component | None:
        chosen = {views.name: views for views in self.views}
        if not chosen:
            return None
        name = next(iter(chosen))
        if len(chosen) > 1:
            name = _suggest(trial, "views", _views_choice(self.views))
        return Component(name, chosen[name].propose(trial))


@final
@dataclass(frozen=True)
class SearchSpace:
    """All that a study searches.

    Args:
        combinations: of all encoders, aggregators and losses that exist.
        training: spaces of the training, the same for all.
        has_views: whether the study names views.
    """

    combinations: list[Combination]
    training: OptionSpaces
    has_views: bool


def search_space(search: Mapping[str, Any]) -> tuple[SearchSpace, list[str]]:
    """The space of a study and every problem of its components and their options.

    Args:
        search: the search section, without the slots that are no mappings of components.
    """
    problems: list[str] = []
    slots = {slot: _components(slot, search.get(slot, {}), problems) for slot in catalogue.SLOTS}
    training = _spaces("training", Training, search.get("training", {}), problems)
    views = {
        loss.path: tuple(slots["views"]) if "views" in needs(loss) else () for loss in slots["loss"]
    }
    combined = [
        Combination(encoder, aggregator, loss, views[loss.path], training)
        for encoder, aggregator, loss in product(
            slots["encoder"], slots["aggregator"], slots["loss"]
        )
    ]
    return SearchSpace(combined, training, bool(search.get("views"))), problems


def needs(loss: OptionSpaces) -> frozenset[str]:
    """What a loss asks of the platform for any of the option values it may take."""
    component = catalogue.load("loss", loss.name)
    return frozenset().union(*(component.needs(corner) for corner in loss.corners()))


def _components(slot: str, section: Mapping[str, Any], problems: list[str]) -> list[OptionSpaces]:
    unknown = [name for name in section if not catalogue.exists(slot, name)]
    problems += [f"search.{slot}.{name}: {_not_there(slot, name)}" for name in unknown]
    return [
        _spaces(f"{slot}.{name}", catalogue.load(slot, name), options or {}, problems)
        for name, options in section.items()
        if name not in unknown
    ]


def _not_there(slot: str, name: str) -> str:
    reason = catalogue.refusal(slot, name)
    if reason:
        return f"is not offered: {reason}"
    return f"no such {slot}; {nearest(name, catalogue.kindred(slot, name))}"


def _spaces(
    path: str, component: Any, written: Mapping[str, Any], problems: list[str]
) -> OptionSpaces:
    known = catalogue.options(component)
    unknown = [name for name in written if name not in known]
    where = f"search.{path}"
    problems += [f"{where}.{name}: no such option; {nearest(name, known)}" for name in unknown]
    at_fault = {meant(name, known) for name in unknown} - set(written)
    fixed, searched = {}, {}
    for name in (name for name in known if name not in at_fault):
        option, space = known[name], written.get(name, ranges.suggested(known[name]))
        found = ranges.problems(option, space)
        problems += [f"{where}.{name}{problem}" for problem in found]
        distribution = None if found else ranges.distribution(option, space)
        if distribution is not None:
            searched[name] = distribution
        elif not found:
            fixed[name] = ranges.value(option, space)
    is_sound = not unknown and len(fixed) + len(searched) == len(known)
    return OptionSpaces(path, fixed, searched, is_sound)


def _shuffled_cycle(values: list[Any], random: Random) -> list[Any]:
    """``MOST_CORNERS`` values in random order, each of them as often as the others."""
    cycle = [values[place % len(values)] for place in range(MOST_CORNERS)]
    random.shuffle(cycle)
    return cycle


def _views_choice(views: tuple[OptionSpaces, ...]) -> CategoricalDistribution:
    return CategoricalDistribution([choice.name for choice in views])


def _suggest(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_int(name, low, high, log=log, step=step)
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_float(name, low, high, log=log, step=step)
    raise TypeError(f"no suggestion for {distribution}")
