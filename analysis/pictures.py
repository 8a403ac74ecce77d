"""Figures as files, drawn by as many processes as help."""

import os
from base64 import b64encode
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from multiprocessing import get_context
from types import ModuleType
from typing import Any, NamedTuple, final

import matplotlib as mpl
import pandas as pd

RESOLUTION = 200
"""Dots per inch: two to a page pixel."""
FEW, MOST = 300, 3
"""Trials up to which one process is fast enough, and others at most."""


class Picture(NamedTuple):
    """A drawn figure as files and as the page shows it; ``data`` is what it shows."""

    name: str
    title: str
    caption: str
    data: pd.DataFrame
    png: bytes
    svg: bytes

    @property
    def address(self) -> str:
        """The PNG inside an address, so that the page asks for no other file."""
        return f"data:image/png;base64,{b64encode(self.png).decode()}"


def picture(module: str, data: Any) -> Picture:
    """Draws a figure.

    Args:
        module: full name of one that offers ``CAPTION``, ``title`` and ``draw``.
        data: what it is drawn from.
    """
    drawn, files = import_module(module), {}
    # Unless told otherwise, an SVG holds the date and glyph names hashed with a random salt.
    with mpl.rc_context({"svg.hashsalt": "groupstudy"}):
        figure = drawn.draw(data)
        # Laid out once, not for each file.
        if figure.axes:
            figure.get_layout_engine().execute(figure)
        figure.set_layout_engine(None)
        for kind, metadata in (("png", {}), ("svg", {"Date": None})):
            stream = BytesIO()
            figure.savefig(stream, format=kind, dpi=RESOLUTION, metadata=metadata)
            files[kind] = stream.getvalue()
    name = module.rpartition(".")[2]
    return Picture(name, drawn.title(data), drawn.CAPTION, _shown(data), **files)


def _shown(data: tuple[Any, ...]) -> pd.DataFrame:
    """The frame among what a figure is drawn from; it holds one, or a series."""
    (frame,) = (value for value in data if isinstance(value, pd.DataFrame | pd.Series))
    is_numbered = isinstance(frame.index, pd.RangeIndex)
    return frame if isinstance(frame, pd.DataFrame) and is_numbered else frame.reset_index()


@final
class Drawers:
    """Draw figures: this process, and others where there are any.

    Args:
        others: processes that have begun; None where this one draws alone.
    """

    def __init__(self, others: ProcessPoolExecutor | None = None) -> None:
        self._others = others
        self._figures: list[tuple[str, Any]] = []
        self._begun: list[Future[Picture]] = []

    def begin(self, figures: Sequence[tuple[ModuleType, Any]]) -> None:
        """Has others begin with figures; each is a module, see :func:`picture`, and its data."""
        self._figures = [(module.__name__, data) for module, data in figures]
        if self._others is not None:
            self._begun = [self._others.submit(picture, *figure) for figure in self._figures]

    def pictures(self) -> list[Picture]:
        """All figures, in their order; from the last one on this process draws too."""
        own: dict[int, Picture] = {}
        for place in reversed(range(len(self._figures))):
            if self._others is None or self._begun[place].cancel():
                own[place] = picture(*self._figures[place])
        return [
            own[place] if place in own else self._begun[place].result()
            for place in range(len(self._figures))
        ]


@contextmanager
def drawers(trials: int) -> Iterator[Drawers]:
    """Drawers for the report of a study; where it is large, others are there once it has been read.

    Args:
        trials: of the study.
    """
    others = min(MOST, (os.cpu_count() or 1) - 1) if trials > FEW else 0
    if not others:
        yield Drawers()
        return
    figures = ("analysis.report",)
    with ProcessPoolExecutor(others, get_context("spawn"), import_module, figures) as pool:
        for _ in range(others):
            pool.submit(int)  # starts one
        yield Drawers(pool)
