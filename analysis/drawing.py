"""How every figure looks: colour-blind-safe colours, plain text, legends beside the axes."""

import re
from collections.abc import Collection, Sequence
from textwrap import fill
from typing import Literal, NamedTuple

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

WIDTH = 9.6
"""Inches; a page shows an inch as 115 pixels, so that 8-point text is read at 13 pixels."""

# Okabe and Ito (2008), "Color universal design", without the yellow that white paper swallows.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LineStyle = Literal["-", "--", ":", "-."]
LINES: tuple[LineStyle, ...] = ("-", "--", ":", "-.")
INK = "#222222"
FAINT = "#767676"


class Look(NamedTuple):
    """Colour, marker and line by which one combination is known in every figure."""

    colour: str
    marker: str
    line: LineStyle


def looks(combinations: Sequence[str]) -> dict[str, Look]:
    """A look for each combination, best first: all colours, then again with another marker."""
    turns = [divmod(place, len(COLOURS)) for place in range(len(combinations))]
    return {
        name: Look(COLOURS[colour], MARKERS[turn % len(MARKERS)], LINES[turn % len(LINES)])
        for name, (turn, colour) in zip(combinations, turns, strict=True)
    }


def plain(text: str) -> str:
    """Text that matplotlib sets as it stands: no mathematics, no label hidden by an underscore."""
    shown = text.replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def label(combination: str, width: int = 40) -> str:
    """A combination's name as plain text, broken after a plus where it is longer than ``width``."""
    lines = [""]
    for part in re.split(r"(?<=\+)", combination):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return plain("\n".join(lines))


def sheet(title: str, height: float) -> Figure:
    """An empty figure of the report's width with its title above, left-aligned.

    Args:
        title: plain text; wrapped at the width.
        height: inches.
    """
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.suptitle(
        fill(plain(title), 92), x=0.012, ha="left", fontsize=11.5, fontweight="bold", color=INK
    )
    return figure


def missing(title: str, what: str) -> Figure:
    """A titled figure that says what it would need."""
    figure = sheet(title, 1.6)
    figure.text(0.5, 0.4, plain(what), ha="center", va="center", color=FAINT, fontsize=10)
    return figure


def panels(
    figure: Figure, rows: int, columns: int, *, sharex: bool = False, sharey: bool = False
) -> list[Axes]:
    """Axes in reading order, with a light grid and without the box."""
    grid = figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False)
    axes: list[Axes] = list(grid.ravel())
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color(FAINT)
        ax.grid(visible=True, color="#e6e6e6", linewidth=0.7)
        ax.set_axisbelow(True)
        ax.tick_params(labelsize=8.5, color=FAINT)
        ax.xaxis.label.set_fontsize(9)
        ax.yaxis.label.set_fontsize(9)
    return axes


def rows_sheet(title: str, combinations: Collection[str]) -> Figure:
    """A sheet with room for one labelled row per combination, above an axis of two lines."""
    lines = max(label(name).count("\n") + 1 for name in combinations)
    return sheet(title, 1.4 + (0.13 + 0.14 * lines) * len(combinations))


def combinations_sheet(title: str, combinations: Collection[str], least: float) -> Figure:
    """A sheet at least ``least`` inches high on which a legend of the combinations fits."""
    lines = sum(label(name).count("\n") + 1 for name in combinations)
    return sheet(title, max(least, 0.185 * lines + 1.0))


def curves_sheet(
    title: str, combinations: Sequence[str], steps: str, height: str
) -> tuple[Figure, Axes, dict[str, Look]]:
    """A sheet for a curve of each combination over whole numbers from 0, with its legend.

    Args:
        title: plain text.
        combinations: in the order of the legend.
        steps: what the numbers count.
        height: what the curves show.
    """
    looks_of_all = looks(combinations)
    figure = combinations_sheet(title, combinations, 4.2)
    (ax,) = panels(figure, 1, 1)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel(steps)
    ax.set_ylabel(height)
    combinations_legend(figure, looks_of_all, combinations, line=True)
    return figure, ax, looks_of_all


def combinations_legend(
    figure: Figure, looks: dict[str, Look], shown: Collection[str], *, line: bool = False
) -> None:
    """Names the combinations that are shown, in the order of ``looks``, by marker or also line."""
    legend(figure, [entry(label(n), look, line=line) for n, look in looks.items() if n in shown])


def entry(text: str, look: Look, *, line: bool = False) -> Line2D:
    """A legend entry for one look: its marker, on its line where a figure draws lines."""
    return Line2D(
        [],
        [],
        color=look.colour,
        marker=look.marker,
        linestyle=look.line if line else "none",
        markersize=5,
        label=text,
    )


def legend(figure: Figure, entries: Sequence[Artist]) -> None:
    """Names what is drawn, to the right of all axes."""
    figure.legend(
        handles=list(entries),
        # Halfway up, for at the top it would run into a long title.
        loc="outside right center",
        fontsize=8,
        frameon=False,
        handlelength=2.6,
    )
