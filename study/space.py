"""The combinations of a study and their search spaces; owns the flat parameter names."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, final

from optuna import Trial
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from study import ranges
from study.config import SearchSection, nearest
from trainables import catalogue
from trainables.configuration import Component, Configuration, Training


@final
@dataclass(frozen=True)
class OptionSpaces:
    """Spaces of all options of one component, or of the training; ``path`` is ``loss.triplet``."""

    path: str
    fixed: Mapping[str, Any]
    searched: Mapping[str, BaseDistribution]

    @property
    def name(self) -> str:
        """The component's own name."""
        return self.path.split(".")[-1]

    def values(self, option: str) -> list[Any]:
        """Values an option may take: its fixed one, its choices, or the ends of its range."""
        if option in self.fixed:
            return [self.fixed[option]]
        distribution = self.searched[option]
        if isinstance(distribution, CategoricalDistribution):
            return list(distribution.choices)
        assert isinstance(distribution, IntDistribution | FloatDistribution)
        return [distribution.low, distribution.high]

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


def combinations(search: SearchSection) -> tuple[list[Combination], list[str]]:
    """Every combination of a study that has no problem of its own, and all problems found."""
    problems: list[str] = []
    slots = {slot: _components(slot, getattr(search, slot), problems) for slot in catalogue.SLOTS}
    training = _spaces("training", Training, search.training, problems)
    views = tuple(slots["views"])
    combined = [
        Combination(*parts, views if _needs_views(parts[-1]) else (), training)
        for parts in product(slots["encoder"], slots["aggregator"], slots["loss"])
    ]
    return combined, problems


def needs(loss: OptionSpaces) -> frozenset[str]:
    """What a loss asks of the platform for any of the option values it may take."""
    names = [*loss.fixed, *loss.searched]
    component = catalogue.load("loss", loss.name)
    listed = product(*(loss.values(name) for name in names))
    return frozenset().union(*(component.needs(dict(zip(names, v, strict=True))) for v in listed))


def _needs_views(loss: OptionSpaces) -> bool:
    return "views" in needs(loss)


def _components(slot: str, section: Mapping[str, Any], problems: list[str]) -> list[OptionSpaces]:
    known = catalogue.names(slot)
    unknown = [name for name in section if name not in known]
    problems += [
        f"search.{slot}.{name}: no such {slot}; {nearest(name, known)}" for name in unknown
    ]
    return [
        _spaces(f"{slot}.{name}", catalogue.load(slot, name), options or {}, problems)
        for name, options in section.items()
        if name in known
    ]


def _spaces(
    path: str, component: Any, written: Mapping[str, Any], problems: list[str]
) -> OptionSpaces:
    known = catalogue.options(component)
    problems += [
        f"search.{path}.{name}: no such option; {nearest(name, known)}"
        for name in written
        if name not in known
    ]
    fixed, searched = {}, {}
    for name, option in known.items():
        space = written[name] if name in written else ranges.suggested(option)
        found = ranges.problems(option, space)
        problems += [f"search.{path}.{name}{problem}" for problem in found]
        distribution = None if found else ranges.distribution(option, space)
        if distribution is not None:
            searched[name] = distribution
        else:
            fixed[name] = option.default if found else space
    return OptionSpaces(path, fixed, searched)


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
