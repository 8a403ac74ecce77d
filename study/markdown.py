"""Text as Markdown: what a name or a message holds is shown as it is, and never does anything."""

import re
from collections.abc import Iterable, Sequence

MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~@:])")
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def plain(text: str) -> str:
    """Text on one line whose characters mean nothing, in Markdown as in HTML."""
    line = " ".join(text.split())
    escaped = MARKUP.sub(r"\\\1", line)
    return re.sub("[&<>]", lambda found: ENTITIES[found[0]], escaped)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table: names to the left, everything else to the right; cells are Markdown."""
    aligned = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, aligned, *rows))
