"""The folders are the registry: which components exist, and which options each one has.

Installed packages may add to them, see :mod:`trainables.plug_ins`.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from pkgutil import iter_modules
from typing import Annotated, Any, Literal, final, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError

from trainables import plug_ins
from trainables.contracts import Search, SearchAmong
from trainables.wording import broken_rule, shown
from trainables.wrapped import Wrapped

SLOTS = {"encoder": "encoders", "aggregator": "aggregators", "loss": "losses", "views": "views"}
FOLDERS = {**SLOTS, "wrapper": "wrappers"}
"""Wrappers fill no slot of their own: they stand around an encoder."""
LIBRARY = "library"
INSIDE = "-"
"""Between a wrapper and the encoder in it, and before what a library has."""
KINDS = (int, float, bool, str)
"""Types of options."""
LARGEST_INTEGER = 2**31 - 1
"""Products of two options still fit 64 bits."""


@final
@dataclass(frozen=True)
class Option:
    """One keyword-only constructor argument of a component.

    ``annotation`` carries type and legal range, ``kind`` the plain type (int, float, bool or str);
    ``choices`` are the legal values where they are listed; ``suggestion`` is the space searched
    when a study names none.
    """

    name: str
    annotation: Any
    kind: type
    default: Any
    choices: tuple[Any, ...] | None
    suggestion: Search | SearchAmong | None
    description: str

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value, or None if it is legal."""
        try:
            _adapter(self.annotation).validate_python(value, strict=True)
        except ValidationError as error:
            return broken_rule(dict(error.errors()[0]))
        if self.choices is not None and type(value) is not self.kind:  # 1.0 and true equal 1
            return f"must be one of {', '.join(map(shown, self.choices))}, got {shown(value)}"
        if self.kind is int and value > LARGEST_INTEGER:
            return f"must be at most {LARGEST_INTEGER}, got {shown(value)}"
        return None


@cache
def _adapter(annotation: Any) -> Any:  # TypeAdapter[Any], which the shape checks refuse
    return TypeAdapter(annotation, config=ConfigDict(allow_inf_nan=False))


def names(slot: str) -> list[str]:
    """Names of the files in the folder of ``slot``, and of what packages add to it, sorted."""
    own = [name for name in shipped(slot) if name != LIBRARY]
    added = [name for name in _added(slot) if plug_in_flaw(slot, name) is None]
    return sorted({*own, *added})


def _added(slot: str) -> Mapping[str, EntryPoint]:
    return plug_ins.announced(SLOTS[slot]) if slot in SLOTS else {}


def plug_in_flaw(slot: str, name: str) -> str | None:
    """Why what a package announces under a name cannot be used; None where nothing is wrong."""
    entry = _added(slot).get(name)
    if entry is None:
        return None
    if name in shipped(slot):
        return f"the package {plug_ins.package(entry)} announces one too; remove it to use {name}"
    flaw = plug_ins.flaw(slot, entry) or _unclear_option(entry.load())
    return f"{flaw} ({entry.value}, of the package {plug_ins.package(entry)})" if flaw else None


def class_flaw(slot: str, component: Any) -> str | None:
    """Why a class is no component of a slot, or None where it is a sound one."""
    return plug_ins.class_flaw(slot, component) or _unclear_option(component)


@cache
def shipped(slot: str) -> tuple[str, ...]:
    """Names of the files in the folder of a slot, sorted."""
    folder = Path(__file__).parent / FOLDERS[slot]
    return tuple(sorted(module.name for module in iter_modules([str(folder)])))


def library(slot: str) -> Any:
    """The adapter that lends ``slot`` the components of a library, or None where there is none."""
    is_there = LIBRARY in shipped(slot)
    return import_module(f"trainables.{FOLDERS[slot]}.{LIBRARY}") if is_there else None


def exists(slot: str, name: str) -> bool:
    """Whether a study file may use a name in ``slot``.

    Encoders may stand in wrappers, as ``groupface-conv4``; what a library has is named as
    ``library-CircleLoss``.
    """
    first, _, lent = name.partition(INSIDE)
    if first == LIBRARY and library(slot):
        return library(slot).component(lent) is not None
    *wrappers, inner = name.split(INSIDE) if slot == "encoder" else [name]
    if plug_in_flaw(slot, inner):
        return False
    return inner in names(slot) and set(wrappers) <= set(names("wrapper"))


def kindred(slot: str, name: str) -> list[str]:
    """Names that may have been meant by one that does not exist."""
    first, _, inner = name.rpartition(INSIDE)
    if name.startswith(LIBRARY + INSIDE) and library(slot):
        return [f"{LIBRARY}{INSIDE}{lent}" for lent in library(slot).offered()]
    if first and slot == "encoder":
        return [f"{wrapper}{INSIDE}{inner}" for wrapper in names("wrapper")]
    return names(slot)


def refusal(slot: str, name: str) -> str | None:
    """Why a component that a library or a package has is not offered; None where none has it."""
    first, _, lent = name.partition(INSIDE)
    if first != LIBRARY or not library(slot):
        return plug_in_flaw(slot, name.rpartition(INSIDE)[2])
    reasons: dict[str, str] = library(slot).REFUSED
    refused = [part for part in lent.split(INSIDE) if part in reasons]
    return f"{refused[0]} {reasons[refused[0]]}" if refused else None


def added_by(slot: str, name: str) -> str | None:
    """The package that adds a component, or None where the platform has it."""
    entry = _added(slot).get(name)
    return plug_ins.package(entry) if entry else None


def plug_in_versions() -> dict[str, str]:
    """Versions of all packages that add components, by name."""
    return plug_ins.distributions(list(SLOTS.values()))


def load(slot: str, name: str) -> Any:
    """A component by its name, see :func:`exists`.

    Raises:
        KeyError: if the folder of ``slot`` has no such file.
        AttributeError: if the file lacks the class its name promises.
    """
    if not exists(slot, name):
        raise KeyError(f"no such {slot}: {name}")
    outer, is_wrapped, inner = name.partition(INSIDE)
    if outer == LIBRARY:
        return library(slot).component(inner)
    if is_wrapped:
        return Wrapped(load("wrapper", outer), load(slot, inner))
    if name in _added(slot):
        return _added(slot)[name].load()
    module = import_module(f"trainables.{FOLDERS[slot]}.{name}")
    return getattr(module, class_name(slot, name))


def class_name(slot: str, name: str) -> str:
    """The class that a component file must hold: ``soft_max`` gives ``SoftMaxAggregator``."""
    return "".join(word.capitalize() for word in name.split("_")) + slot.capitalize()


def wiring(component: Callable[..., Any]) -> list[str]:
    """What the platform must give a component's constructor, in order."""
    parameters = inspect.signature(component).parameters.values()
    return [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]


def options(component: Callable[..., Any]) -> dict[str, Option]:
    """Options of a component by name, read from its constructor; constructs nothing."""
    described = _described(inspect.getdoc(component) or "")
    parameters = inspect.signature(component).parameters.values()
    return {
        parameter.name: _option(parameter, described.get(parameter.name, ""))
        for parameter in parameters
        if parameter.kind is parameter.KEYWORD_ONLY
    }


def _unclear_option(component: Callable[..., Any]) -> str | None:
    """What keeps study files from giving an option of a component a value."""
    kinds = ", ".join(kind.__name__ for kind in KINDS)
    for option in options(component).values():
        if option.kind not in KINDS or option.default is inspect.Parameter.empty:
            return f"its option {option.name} must have a type of {kinds} and a default"
    return None


def is_learnable(component: Callable[..., Any], *wiring: Any, **named: Any) -> bool:
    """Whether a component holds parameters that training changes; options not named have defaults.

    One that has no such defaults, since an option must be named, is taken to hold some.
    """
    check = getattr(component, "check", None)
    defaults = {name: option.default for name, option in options(component).items()}
    if check is not None and check(**{**defaults, **named}):
        return True
    return any(parameter.requires_grad for parameter in component(*wiring, **named).parameters())


def _option(parameter: inspect.Parameter, description: str) -> Option:
    bare, *metadata = (
        get_args(parameter.annotation)
        if get_origin(parameter.annotation) is Annotated
        else (parameter.annotation,)
    )
    if bare is bool:
        choices: tuple[Any, ...] | None = (False, True)
    else:
        choices = get_args(bare) if get_origin(bare) is Literal else None
    return Option(
        name=parameter.name,
        annotation=parameter.annotation,
        kind=type(choices[0]) if choices else bare,
        default=parameter.default,
        choices=choices,
        suggestion=next(
            (item for item in metadata if isinstance(item, Search | SearchAmong)), None
        ),
        description=description,
    )


def _described(docstring: str) -> dict[str, str]:
    """Argument descriptions of a Google-style docstring, each on one line."""
    section = re.search(r"^Args:\n((?:[ ]+.*\n?|\n)+)", docstring, re.MULTILINE)
    text = section[1] if section else ""
    entries = re.findall(r"^ {4}(\w+): ((?:.|\n {6,})+)", text, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}
