"""How far a study had come after each of its finished trials, as points of metrics.

A point is a function of the trials published until then, so that following a study and bringing
MLflow up to date later write the same ones.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import NamedTuple, final

from study.confirmation import planned_trials
from study.record import Record, Result

STATES = ("complete", "pruned", "failed")


class Point(NamedTuple):
    """A value of a metric; the same point sent twice is stored once."""

    name: str
    value: float
    milliseconds: int
    step: int


def milestones(record: Record, results: Sequence[Result]) -> list[Point]:
    """Counts, and the best so far, after each finished trial: its number, from 1, is the step.

    ``progress/complete``, ``progress/pruned``, ``progress/failed`` count trials, and
    ``progress/share`` is the finished share of those that are planned. The study's quality (as
    ``val/map_at_r.size5``), its gap, the certified share and the test quality (mean over seeds) are
    those of the best trial on validation, and below their names, as ``val/map_at_r.size5/mlp mean
    triplet``, of the best trial of each combination, written where they change. A value that the
    best trial has not, while one before it had, is NaN.

    Args:
        record: of the study.
        results: published ones, in any order.
    """
    standing = _Standing(record)
    return [point for result in in_order(results) for point in standing.after(result)]


def in_order(results: Sequence[Result]) -> list[Result]:
    """Results as they were published; those of an earlier version first, as they ended."""
    return sorted(
        results,
        key=lambda r: (-1 if r.order is None else r.order, r.outcome.ended, r.trial.key),
    )


def settled(results: Sequence[Result]) -> list[Result]:
    """Results before which none is missing: what is read during a launch may lack some."""
    ordered = in_order(results)
    missing = (n for n, result in enumerate(ordered) if result.order not in (None, n))
    return ordered[: next(missing, len(ordered))]


@final
class _Standing:
    """What is known of a study; trials are added in order."""

    def __init__(self, record: Record) -> None:
        config = record.config
        protocol, size = config.protocol, config.protocol.selecting_size
        self._planned = planned_trials(config, len(record.manifest["combinations"]))
        self._quality, self._test = (f"{p}/{protocol.quality_name}" for p in ("val", "test"))
        self._searched = (
            self._quality,
            f"bound/{protocol.gap_name}",
            f"bound/certified.size{size}",
        )
        self._states: Counter[str] = Counter()
        self._best: dict[str, Result] = {}
        self._tested: defaultdict[str, list[float]] = defaultdict(list)
        self._written: dict[str, float] = {}
        self._latest = 0.0

    def after(self, result: Result) -> Iterator[Point]:
        """Adds a trial; gives the points that it brings."""
        self._add(result)
        # A worker's clock may be behind another's.
        self._latest = max(self._latest, result.outcome.ended)
        step, when = self._states.total(), round(1000 * self._latest)
        values = {**self._progress(), **self._of_combination(result), **self._of_leader()}
        for name, value in values.items():
            if not math.isnan(value) or not math.isnan(self._written.get(name, math.nan)):
                self._written[name] = value
                yield Point(name, value, when, step)

    def _add(self, result: Result) -> None:
        trial, outcome = result.trial, result.outcome
        self._states[outcome.state] += 1
        if outcome.state != "complete":
            return
        if trial.phase == "search":
            known = self._best.get(trial.combination)
            if known is None or self._rank(result) < self._rank(known):
                self._best[trial.combination] = result
        elif trial.phase == "confirmation":
            self._tested[trial.based_on].append(outcome.metrics.get(self._test, math.nan))

    def _rank(self, result: Result) -> tuple[float, str]:
        return -result.outcome.metrics[self._quality], result.trial.key

    def _progress(self) -> dict[str, float]:
        counts = {f"progress/{state}": float(self._states[state]) for state in STATES}
        return {**counts, "progress/share": self._states.total() / self._planned}

    def _of_leader(self) -> dict[str, float]:
        return self._values(min(self._best.values(), key=self._rank)) if self._best else {}

    def _of_combination(self, result: Result) -> dict[str, float]:
        """What a trial has changed about the best of its combination."""
        combination = result.trial.combination
        if combination not in self._best:
            return {}
        # MLflow has no plus in the name of a metric.
        below = combination.replace("+", " ")
        values = self._values(self._best[combination])
        named = {f"{name}/{below}": value for name, value in values.items()}
        return {name: named[name] for name in named if self._written.get(name) != named[name]}

    def _values(self, found: Result) -> dict[str, float]:
        metrics, tested = found.outcome.metrics, self._tested.get(found.trial.key)
        known = {name: metrics.get(name, math.nan) for name in self._searched}
        return {**known, self._test: fmean(tested) if tested else math.nan}
