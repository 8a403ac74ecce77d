"""An encoder inside a wrapper, as one component: ``groupface-conv4``."""

import inspect
from collections.abc import Callable
from typing import Any, final


@final
class Wrapped:
    """Constructor, options and rules of a wrapper and of the encoder in it, taken together.

    A wrapper that does not fit every encoder has a class method ``refuses``, which is given the
    class inside and says why it does not fit, or None where it does.

    Args:
        wrapper: its class; the first argument of its constructor is an encoder.
        encoder: the class inside, or another of these.

    Raises:
        TypeError: if an option of one has the name of an option of the other.
    """

    is_chain = False  # a wrapper does more than its layers

    def __init__(self, wrapper: Any, encoder: Any) -> None:
        self._wrapper, self._encoder = wrapper, encoder
        self.tells_groups: bool = wrapper.tells_groups
        self.certifies: bool = wrapper.certifies
        self.packages: tuple[str, ...] = (*encoder.packages, *wrapper.packages)
        self._outer, self._inner = _options(wrapper), _options(encoder)
        twice = self._outer.keys() & self._inner.keys()
        if twice:
            raise TypeError(f"{wrapper.__name__} and what it wraps share options: {sorted(twice)}")
        shape = inspect.Parameter("shape", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        self.__signature__ = inspect.Signature(
            [shape, *self._inner.values(), *self._outer.values()]
        )
        self.__doc__ = f"{inspect.getdoc(wrapper)}\n{_described_options(encoder)}"
        self.__module__: str = wrapper.__module__

    def __call__(self, shape: tuple[int, ...], **options: Any) -> Any:
        inner = {name: value for name, value in options.items() if name in self._inner}
        outer = {name: value for name, value in options.items() if name not in self._inner}
        return self._wrapper(self._encoder(shape, **inner), **outer)

    def unfit(self, shape: tuple[int, ...]) -> str | None:
        """Why points of this shape cannot be encoded, or the encoder not be wrapped; else None."""
        refuses = getattr(self._wrapper, "refuses", None)
        reason: str | None = refuses(self._encoder) if refuses else None
        return reason or self._encoder.unfit(shape)

    def check(self, **options: Any) -> list[str]:
        """Rules across the options of the encoder, and of the wrapper."""
        return [
            problem
            for component, own in ((self._encoder, self._inner), (self._wrapper, self._outer))
            if hasattr(component, "check")
            for problem in component.check(**{name: options[name] for name in own})
        ]


def _options(component: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(component).parameters.values()
    return {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}


def _described_options(component: Any) -> str:
    """The argument descriptions of a docstring, but for that of the wiring."""
    section = (inspect.getdoc(component) or "").partition("Args:\n")[2]
    lines = section.splitlines()
    later = [
        place for place, line in enumerate(lines) if line.startswith("    ") and line[4] != " "
    ]
    return "\n".join(lines[later[1] :]) if len(later) > 1 else ""
