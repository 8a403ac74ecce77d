"""Components of other installed packages: entry points of the group ``groupstudy.aggregators``, ...

A package announces a class under the name that study files give it, in its ``pyproject.toml``::

    [project.entry-points."groupstudy.aggregators"]
    first = "my_package.first:FirstAggregator"

The groups are named as the folders of components; a wrapper cannot be added this way.
"""

import inspect
import re
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from trainables.contracts import Aggregator, Encoder, Loss, Views

CONTRACTS = MappingProxyType(
    {"encoder": Encoder, "aggregator": Aggregator, "loss": Loss, "views": Views}
)
NAME = re.compile(r"[a-z][a-z0-9_]*")


@cache
def announced(folder: str) -> MappingProxyType[str, EntryPoint]:
    """What installed packages announce for a folder of components, by name; imports nothing."""
    found = entry_points(group=f"groupstudy.{folder}")
    return MappingProxyType({entry.name: entry for entry in found})


@cache
def flaw(slot: str, entry: EntryPoint) -> str | None:
    """Why the class of an entry point is no component of a slot, or None where it is one."""
    if not NAME.fullmatch(entry.name):
        return "its name must be made of small letters, digits and underscores"
    try:
        component = entry.load()
    except Exception as error:  # a package may raise anything
        return f"cannot be imported: {type(error).__name__}: {error}"
    return class_flaw(slot, component)


def class_flaw(slot: str, component: object) -> str | None:
    """Why something is no component of a slot, or None where it is one."""
    contract = CONTRACTS[slot]
    if not (inspect.isclass(component) and issubclass(component, contract)):
        return f"must be a class derived from trainables.contracts.{contract.__name__}"
    if inspect.isabstract(component):
        return f"lacks {', '.join(sorted(component.__abstractmethods__))}"
    if contract is Aggregator and not hasattr(component, "outside_hull"):
        return "must say in outside_hull why it may leave the hull of a group, or None"
    return None


def package(entry: EntryPoint) -> str:
    """Name of the distribution that an entry point belongs to."""
    return entry.dist.name if entry.dist else "?"


def distributions(folders: list[str]) -> dict[str, str]:
    """Versions of the packages that announce components, by name."""
    entries = [entry for folder in folders for entry in announced(folder).values()]
    return {entry.dist.name: entry.dist.version for entry in entries if entry.dist}
