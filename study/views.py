"""What MLflow's pages show of a study: its best trials, charts, what was confirmed, what failed."""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.metric_names import beside
from study.config import StudyConfig
from study.saved_view import View, bars, columns, lines, parallel, scatter


def views(config: StudyConfig, combinations: Sequence[str]) -> list[View]:
    """The views of a study, the most useful first.

    Args:
        config: of the study.
        combinations: their labels.
    """
    protocol = config.protocol
    quality, gap = f"val/{protocol.quality_name}", f"bound/{protocol.gap_name}"
    tested, certified = (
        f"test/{protocol.quality_name}",
        f"bound/certified.size{protocol.selecting_size}",
    )
    parts = columns("tags", "encoder", "aggregator", "loss")
    searched = [f"training.{n}" for n, space in config.search.training.items() if _varies(space)]
    complete = "tags.phase = 'search' and tags.state = 'complete'"
    return [
        View(
            "study-best",
            "Best trials",
            "complete trials of the search, the best on validation first",
            complete,
            quality,
            [*columns("metrics", quality, gap, certified), *parts, *columns("params", *searched)],
        ),
        View(
            "study-charts",
            "Quality and gap",
            "charts of the best trials: quality against gap, and what the training options do",
            complete,
            quality,
            columns("metrics", quality, gap),
            [
                scatter("Quality against gap: up and left is better", gap, quality),
                scatter("Gap against margin m*", beside(gap, "m_star"), gap),
                parallel("Training options and quality", searched, [gap, quality]),
            ],
        ),
        View(
            "study-progress",
            "Progress of the study",
            "charts of the study's own run: trials finished, and the best quality so far",
            "tags.phase = 'study'",
            "",
            columns("metrics", quality, gap, tested),
            [
                lines(
                    "Finished trials", [f"progress/{s}" for s in ("complete", "pruned", "failed")]
                ),
                lines("Best quality so far", [quality]),
                lines("Gap of the best trial so far", [gap]),
                lines(
                    "Best quality so far, by combination",
                    [f"{quality}/{label.replace('+', ' ')}" for label in combinations],
                ),
            ],
            folded=["bound", "progress", "test", "val", quality, gap, certified, tested],
        ),
        View(
            "study-combinations",
            "Combinations",
            "the best of each combination beside each other, among the trials that are loaded",
            complete,
            quality,
            columns("metrics", quality),
            [bars("Best quality on validation", quality)],
            grouped="combination",
        ),
        View(
            "study-curves",
            "Training of the best",
            "charts of the twenty best trials: quality and loss by epoch",
            complete,
            quality,
            columns("metrics", quality),
            [
                lines("Quality on validation", [quality]),
                lines("Training loss", ["train/loss"]),
            ],
            "FIRST_20_RUNS",
        ),
        View(
            "study-confirmed",
            "Confirmed on the test points",
            "the best of each combination, trained again and read on the test points",
            "tags.phase = 'confirmation'",
            tested,
            [*columns("metrics", tested, gap, certified), *parts, *columns("tags", "seeds")],
        ),
        View(
            "study-failed",
            "Failed trials",
            "with the reason of each",
            "tags.state = 'failed'",
            "",
            columns("tags", "reason", "phase", "encoder", "aggregator", "loss", "attempt"),
        ),
        View(
            "study-all",
            "All runs, below their study",
            "every run, below the one that it belongs to",
            "",
            "",
            [
                *columns("metrics", quality, tested, gap),
                *columns("tags", "phase", "state", "reason"),
                *columns("attributes", "Models"),
            ],
        ),
    ]


def _varies(space: Any) -> bool:
    """Whether the search tries several values of an option, and numbers, which have an axis."""
    values = space if isinstance(space, list) else [space]
    several = isinstance(space, Mapping) or len(values) > 1
    return several and not any(isinstance(value, str) for value in values)
