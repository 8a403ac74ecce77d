"""What MLflow's pages show of a study: its best trials, charts, what was confirmed, what failed."""

from collections.abc import Mapping, Sequence
from typing import Any, final

from analysis.metric_names import beside
from study.config import StudyConfig
from study.saved_view import View, bars, columns, lines, parallel, scatter

COMPLETE = "tags.phase = 'search' and tags.state = 'complete'"
PARTS = columns("tags", "encoder", "aggregator", "loss")


def views(config: StudyConfig, combinations: Sequence[str]) -> list[View]:
    """The views of a study, the most useful first.

    Args:
        config: of the study.
        combinations: their labels.
    """
    known = _Views(config)
    return [
        known.best(),
        known.charts(),
        known.combinations(),
        known.progress(combinations),
        known.training(),
        known.confirmed(),
        known.failed(),
        known.all_runs(),
    ]


@final
class _Views:
    """Each view, for the metrics of one study."""

    def __init__(self, config: StudyConfig) -> None:
        protocol, training = config.protocol, config.search.training
        self._quality, self._tested = (f"{p}/{protocol.quality_name}" for p in ("val", "test"))
        self._gap = f"bound/{protocol.gap_name}"
        self._certified = f"bound/certified.size{protocol.selecting_size}"
        self._searched = [f"training.{name}" for name in training if _varies(training[name])]

    def best(self) -> View:
        metrics = columns("metrics", self._quality, self._gap, self._certified)
        return View(
            "study-best",
            "Best trials",
            "complete trials of the search, the best on validation first",
            COMPLETE,
            self._quality,
            [*metrics, *PARTS, *columns("params", *self._searched)],
        )

    def charts(self) -> View:
        return View(
            "study-charts",
            "Quality and gap",
            "charts of the best trials: quality against gap, and what the training options do",
            COMPLETE,
            self._quality,
            columns("metrics", self._quality, self._gap),
            [
                scatter("Quality against gap: up and left is better", self._gap, self._quality),
                scatter("Gap against margin m*", beside(self._gap, "m_star"), self._gap),
                parallel(
                    "Training options and quality", self._searched, [self._gap, self._quality]
                ),
            ],
        )

    def combinations(self) -> View:
        return View(
            "study-combinations",
            "Combinations",
            "the best of each combination beside each other, among the trials that are loaded",
            COMPLETE,
            self._quality,
            columns("metrics", self._quality),
            [bars("Best quality on validation", self._quality)],
            grouped="combination",
        )

    def progress(self, combinations: Sequence[str]) -> View:
        states = [f"progress/{state}" for state in ("complete", "pruned", "failed")]
        # MLflow has no plus in the name of a metric.
        each = [f"{self._quality}/{label.replace('+', ' ')}" for label in combinations]
        own = (self._quality, self._gap, self._certified, self._tested)
        return View(
            "study-progress",
            "Progress of the study",
            "charts of the study's own run: trials finished, and the best quality so far",
            "tags.phase = 'study'",
            "",
            columns("metrics", self._quality, self._gap, self._tested),
            [
                lines("Finished trials", states),
                lines("Best quality so far", [self._quality]),
                lines("Gap of the best trial so far", [self._gap]),
                lines("Best quality so far, by combination", each),
            ],
            folded=["bound", "progress", "test", "val", *own],
        )

    def training(self) -> View:
        return View(
            "study-curves",
            "Training of the best",
            "charts of the twenty best trials: quality and loss by epoch",
            COMPLETE,
            self._quality,
            columns("metrics", self._quality),
            [
                lines("Quality on validation", [self._quality]),
                lines("Training loss", ["train/loss"]),
            ],
            "FIRST_20_RUNS",
        )

    def confirmed(self) -> View:
        metrics = columns("metrics", self._tested, self._gap, self._certified)
        return View(
            "study-confirmed",
            "Confirmed on the test points",
            "the best of each combination, trained again and read on the test points",
            "tags.phase = 'confirmation'",
            self._tested,
            [*metrics, *PARTS, *columns("tags", "seeds")],
        )

    def failed(self) -> View:
        return View(
            "study-failed",
            "Failed trials",
            "with the reason of each",
            "tags.state = 'failed'",
            "",
            [*columns("tags", "reason", "phase"), *PARTS, *columns("tags", "attempt")],
        )

    def all_runs(self) -> View:
        metrics = columns("metrics", self._quality, self._tested, self._gap)
        return View(
            "study-all",
            "All runs, below their study",
            "every run, below the one that it belongs to",
            "",
            "",
            [
                *metrics,
                *columns("tags", "phase", "state", "reason"),
                *columns("attributes", "Models"),
            ],
        )


def _varies(space: Any) -> bool:
    """Whether the search tries several values of an option, and numbers, which have an axis."""
    values = space if isinstance(space, list) else [space]
    several = isinstance(space, Mapping) or len(values) > 1
    return several and not any(isinstance(value, str) for value in values)
