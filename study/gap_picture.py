"""A small picture of one trial's bound gap: distance against bound, a dot for each pair."""

from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageFont

from analysis import drawing
from analysis.bound_gap import TOLERANCE
from analysis.figures.distances_and_bounds import BOUND_LOOKS
from analysis.metric_names import BOUNDS

SHOWN = 200
PIXELS = (420, 320)
FRAME = (44, 40, 410, 276)
DOT = 2
FONT = ImageFont.load_default(12)

Values = npt.NDArray[np.float64]


class Pairs(NamedTuple):
    """Distances of same-class groups and their bounds, in units of different-class distance."""

    distance: Values
    bounds: dict[str, Values]

    @property
    def violations(self) -> int:
        """Comparisons in which a distance exceeds its bound by more than rounding."""
        return sum(int((v < self.distance - TOLERANCE).sum()) for v in self.bounds.values())


def pairs(table: Path, size: int) -> Pairs:
    """Pairs of groups of ``size`` points; without the bounds that do not cover the aggregator."""
    columns = ["distance", "scale", *BOUNDS]
    rows = pq.read_table(table, columns=columns, filters=[("size", "=", size)])
    scale = rows["scale"].to_numpy()
    values = {bound: rows[bound].to_numpy() / scale for bound in BOUNDS}
    covered = {bound: value for bound, value in values.items() if np.isfinite(value).all()}
    return Pairs(rows["distance"].to_numpy() / scale, covered if len(scale) else {})


def draw(pairs: Pairs, size: int) -> Image.Image:
    """Dots on the diagonal meet their bound; a violation would lie below it.

    Drawn with Pillow, in a tenth of the time that a matplotlib figure takes: there is one for every
    trial, and trials are many.
    """
    picture = Image.new("RGB", PIXELS, "white")
    axes = _Axes(ImageDraw.Draw(picture), pairs)
    axes.scales(f"distance of two same-class groups of {size}")
    # The loosest bound first, so that the tightest is never hidden.
    for bound in reversed(pairs.bounds):
        axes.dots(pairs.distance, pairs.bounds[bound], BOUND_LOOKS[bound].colour)
    counted = len(pairs.distance) * len(pairs.bounds)
    title = f"{pairs.violations} of {counted} distances exceed their bound"
    axes.title(title if counted else "no bound is known to hold", list(pairs.bounds))
    return picture


@final
class _Axes:
    """Where a value lies in the picture; both axes begin at 0, or lower where a bound is lower."""

    def __init__(self, canvas: ImageDraw.ImageDraw, pairs: Pairs) -> None:
        self._canvas = canvas
        values = [value for value in pairs.bounds.values() if len(value)]
        self._right = float(pairs.distance.max(initial=0.0)) * 1.05 or 1.0
        self._low = min([0.0, *(float(value.min()) for value in values)])
        self._high = max([self._right, *(1.05 * float(value.max()) for value in values)])

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Pixels of a point."""
        left, top, right, bottom = FRAME
        height = (y - self._low) / (self._high - self._low)
        return left + (right - left) * x / self._right, bottom - (bottom - top) * height

    def scales(self, name: str) -> None:
        """Axes with their ends, and the diagonal."""
        left, top, right, bottom = FRAME
        self._canvas.line([(left, top), (left, bottom), (right, bottom)], drawing.FAINT)
        diagonal = [self.place(0, 0), self.place(self._right, self._right)]
        self._canvas.line(diagonal, drawing.INK)
        for share in (0.0, 0.5, 1.0):
            x, y = share * self._right, self._low + share * (self._high - self._low)
            across, down = self.place(x, self._low)
            self._text((across, down + 5), f"{x:.2f}", "ra" if share else "la")
            self._text((left - 4, self.place(0, y)[1]), f"{y:.2f}", "rm")
        self._text(((left + right) / 2, bottom + 22), name, "ma")

    def dots(self, distance: Values, value: Values, colour: str) -> None:
        """At most ``SHOWN`` dots, spread evenly over the pairs."""
        every = slice(None, None, max(1, len(distance) // SHOWN))
        for x, y in zip(distance[every].tolist(), value[every].tolist(), strict=True):
            across, down = self.place(x, y)
            box = (across - DOT, down - DOT, across + DOT, down + DOT)
            self._canvas.ellipse(box, fill=colour)

    def title(self, text: str, bounds: list[str]) -> None:
        """What is seen, and which colour is which bound."""
        self._text((8, 4), text, "la")
        for place, bound in enumerate(bounds):
            name = BOUNDS[bound].replace("\N{PRIME}", "'")
            self._text((8 + 40 * place, 20), name, "la", BOUND_LOOKS[bound].colour)

    def _text(
        self, at: tuple[float, float], text: str, anchor: str, colour: str = drawing.INK
    ) -> None:
        self._canvas.text(at, text, fill=colour, font=FONT, anchor=anchor)
