"""The tables of a study: columns, types and units; the only schema between record and report."""

from dataclasses import dataclass, fields
from typing import final

import pandas as pd
import pyarrow as pa

TRIALS = pa.schema(
    {
        "key": pa.string(),  # names the trial in the record, in MLflow and in every other table
        "phase": pa.string(),  # "search", "confirmation", "ensemble" or "untrained"
        "combination": pa.string(),  # "mlp+mean+triplet"
        "encoder": pa.string(),
        "aggregator": pa.string(),
        "loss": pa.string(),
        "number": pa.int64(),  # within its combination, from 0; based on another trial: that one's
        "seed": pa.int64(),
        "state": pa.string(),  # "complete", "pruned", "failed", "running"
        "reason": pa.string(),  # why failed or pruned, else ""
        "proposed_by": pa.string(),  # "random", "model" or "warm_start"; "" outside the search
        "attempt": pa.int64(),  # the last: more than 1 where a process or the study had stopped
        "coverage": pa.string(),  # "covered"; "uncovered" where it may leave the hull
        "quality": pa.float64(),  # selection metric, mean over folds, more is better; may be NaN
        "relative_gap": pa.float64(),  # of the selected bound at the selected size; may be NaN
        "started": pa.float64(),  # Unix seconds
        "ended": pa.float64(),  # Unix seconds; NaN while running
    }
)
PARAMETERS = pa.schema(
    {
        "key": pa.string(),
        "name": pa.string(),  # flat name, as loss.triplet.margin
        "value": pa.string(),  # JSON
    }
)
METRICS = pa.schema(
    {
        "key": pa.string(),
        "name": pa.string(),  # as val/map_at_r.size5, bound/t4_gap.size5
        "value": pa.float64(),  # mean over folds
    }
)
HISTORY = pa.schema(
    {
        "key": pa.string(),
        "epoch": pa.int64(),  # epochs finished, from 1
        "name": pa.string(),
        "value": pa.float64(),  # mean over folds
    }
)
BOUNDS = pa.schema(  # of the best trial of each combination and of its confirmations
    {
        "key": pa.string(),
        "fold": pa.int64(),
        "size": pa.int64(),  # points per group
        "class_name": pa.string(),
        "first": pa.int64(),  # group numbers within (fold, size)
        "second": pa.int64(),
        "distance": pa.float64(),  # of the two group embeddings, embedding units
        "m_star": pa.float64(),  # embedding units, may be negative
        "t1": pa.float64(),  # the theorem's bound 2 max(m*, D); NaN for uncovered aggregators
        "t1_prime": pa.float64(),  # m* + D
        "t4": pa.float64(),  # m* + weighted mean of min(delta, delta')
        "scale": pa.float64(),  # mean distance of different-class points, embedding units
    }
)

IMPORTANCES = pa.schema(
    {
        "combination": pa.string(),
        "name": pa.string(),  # of a searched parameter
        "importance": pa.float64(),  # share of 1, within the combination
    }
)
MAPS = pa.schema(
    {
        "key": pa.string(),
        "class_name": pa.string(),
        "x": pa.float64(),  # of a group embedding, along the principal axes; embedding units
        "y": pa.float64(),
        "explained": pa.float64(),  # share of the variance along both axes
    }
)
WITNESSES = pa.schema(
    {
        "key": pa.string(),
        "role": pa.string(),  # "anchor", "positive" or "negative" of the triplet behind m*
        "class_name": pa.string(),
        "shape": pa.list_(pa.int64()),  # of a point
        "values": pa.list_(pa.float32()),  # of the point, flat; images from 0 to 1
        "excess": pa.float64(),  # m*, embedding units
    }
)

RAW = "identity+mean+untrained"
"""Combination, and key, of the trial that reads the mean of the points themselves."""


@final
@dataclass(frozen=True)
class StudyTables:
    """Everything a report knows of one study.

    Args:
        name: the study's name.
        quality_name: selection metric behind ``trials.quality``, as ``val/map_at_r.size5``.
        gap_name: metric behind ``trials.relative_gap``.
        planned_trials: trials the search phase will hold when it ends.
        trials, parameters, metrics, history, bounds, importances, maps, witnesses: tables of the
            schemas above.
    """

    name: str
    quality_name: str
    gap_name: str
    planned_trials: int
    trials: pd.DataFrame
    parameters: pd.DataFrame
    metrics: pd.DataFrame
    history: pd.DataFrame
    bounds: pd.DataFrame
    importances: pd.DataFrame
    maps: pd.DataFrame
    witnesses: pd.DataFrame

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name in SCHEMAS:
                pa.Table.from_pandas(
                    getattr(self, field.name), SCHEMAS[field.name], preserve_index=False
                )


SCHEMAS = {
    "trials": TRIALS,
    "parameters": PARAMETERS,
    "metrics": METRICS,
    "history": HISTORY,
    "bounds": BOUNDS,
    "importances": IMPORTANCES,
    "maps": MAPS,
    "witnesses": WITNESSES,
}


def table(name: str, rows: list[dict[str, object]]) -> pd.DataFrame:
    """A table of the study from its rows, typed by its schema, also when empty."""
    frame: pd.DataFrame = pa.Table.from_pylist(rows, SCHEMAS[name]).to_pandas()
    return frame
