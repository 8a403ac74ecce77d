"""A named view of MLflow's pages: which runs, with which columns, in which order, in which charts.

MLflow keeps a view that a user saves as a tag of the experiment, lists it under *Views*, and opens
it at an address that names it; ours are written as if a user had saved them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

SAVED = "mlflow.sharedViewState."
RUN_NAME = "attributes.`Run Name`"
WIDTHS = {RUN_NAME: 260, "tags.`reason`": 420}
WIDTH = 180
"""Pixels of a column: a name as `val/map_at_r.size2` can be read."""
COLUMNS = 2
"""Charts beside each other."""
FIRST_SAVED = 1_700_000_000_000
"""MLflow lists the newest view first; ours are of all times, and in their order."""
Chart = dict[str, Any]


@final
@dataclass(frozen=True)
class View:
    """A table of runs, or a page of charts.

    Args:
        key: names it in addresses.
        name: as it is listed.
        about: what it shows, for a description.
        filter: which runs, in MLflow's words; all where it is empty, each below the one it is of.
        order: metric that sorts them, largest first; by default the newest is first.
        columns: shown of each run, as MLflow names them.
        charts: shown beside the runs.
        shown: which runs the charts are of, in MLflow's words.
        folded: prefixes of metrics; MLflow adds a chart for each of hundreds, below the charts
            here, and shows those of these prefixes only once they are unfolded.
        grouped: tag by which runs are put together, each group with its largest values.
    """

    key: str
    name: str
    about: str
    filter: str = ""
    order: str = ""
    columns: Sequence[str] = ()
    charts: Sequence[Chart] = field(default_factory=tuple)
    shown: str = "SHOW_ALL"
    folded: Sequence[str] = ("bound", "train", "val")
    grouped: str = ""

    @property
    def address(self) -> str:
        """What comes after an experiment's address."""
        return opened_at(self.key, has_charts=bool(self.charts))


def opened_at(key: str, *, has_charts: bool) -> str:
    """What comes after an experiment's address to open a view of it.

    Args:
        key: of the view.
        has_charts: whether it is a page of charts.
    """
    mode = "&compareRunsMode=CHART" if has_charts else ""
    return f"/runs?workflowType=machine_learning&viewStateShareKey={key}{mode}"


def tags(views: Sequence[View]) -> dict[str, str]:
    """The experiment's tags by which MLflow knows the views."""
    return {
        f"{SAVED}{view.key}": json.dumps(
            {
                "name": view.name,
                "createdAt": FIRST_SAVED - place,
                "updatedAt": FIRST_SAVED - place,
                "state": json.dumps(_state(view)),
            }
        )
        for place, view in enumerate(views)
    }


def _state(view: View) -> dict[str, Any]:
    """Only what differs from what MLflow shows by itself."""
    state: dict[str, Any] = {
        "searchFilter": view.filter,
        "selectedColumns": list(view.columns),
        "columnOrder": [RUN_NAME, *view.columns],
        "columnWidths": {name: WIDTHS.get(name, WIDTH) for name in (RUN_NAME, *view.columns)},
        "runsHiddenMode": view.shown,
    }
    if view.order:
        state |= {"orderByKey": column("metrics", view.order), "orderByAsc": False}
    if view.grouped:
        keys = [{"mode": "tag", "groupByData": view.grouped}]
        state |= {"groupBy": {"aggregateFunction": "max", "groupByKeys": keys}}
    if view.charts:
        state |= {
            "compareRunCharts": [
                {**chart, "uuid": f"{view.key}-{place}", "metricSectionId": view.key}
                for place, chart in enumerate(view.charts)
            ],
            "compareRunSections": list(_sections(view)),
            "isAccordionReordered": True,
        }
    return state


def _sections(view: View) -> Iterator[Mapping[str, Any]]:
    shared = {"isReordered": True, "deleted": False, "isGenerated": False}
    yield {"uuid": view.key, "name": view.name, "display": True, "columns": COLUMNS, **shared}
    for name in (*view.folded, "Model metrics", "System metrics"):
        yield {"uuid": f"{view.key}-{name}", "name": name, "display": False, **shared}


def column(kind: str, name: str) -> str:
    """Of a table of runs; ``kind`` is metrics, params, tags or attributes."""
    return f"{kind}.`{name}`"


def columns(kind: str, *names: str) -> list[str]:
    """Several of one kind."""
    return [column(kind, name) for name in names]


def _chart(kind: str, title: str, **content: Any) -> Chart:
    return {
        "type": kind,
        "displayName": title,
        "deleted": False,
        "isGenerated": False,
        "runsCountToCompare": 100,
        **content,
    }


def bars(title: str, metric: str) -> Chart:
    """A bar for each run, or group of runs."""
    return _chart("BAR", title, metricKey=metric)


def scatter(title: str, across: str, up: str) -> Chart:
    """A dot for each run, at two of its metrics."""
    x, y = ({"key": name, "type": "METRIC"} for name in (across, up))
    return _chart("SCATTER", title, xaxis=x, yaxis=y)


def parallel(title: str, parameters: Sequence[str], metrics: Sequence[str]) -> Chart:
    """A line for each run, through its parameters and metrics; coloured by the last metric."""
    return _chart(
        "PARALLEL",
        title,
        selectedParams=list(parameters),
        selectedMetrics=list(metrics),
        showAllRuns=False,
    )


def lines(title: str, metrics: Sequence[str]) -> Chart:
    """Metrics by step."""
    return _chart(
        "LINE",
        title,
        metricKey=metrics[0],
        selectedMetricKeys=list(metrics),
        xAxisKey="step",
        xAxisScaleType="linear",
        scaleType="linear",
        range={},
        lineSmoothness=0,
        selectedXAxisMetricKey="",
        yAxisKey="metric",
        yAxisExpressions=[],
        ignoreOutliers=False,
        useGlobalXaxisKey=False,
        useGlobalLineSmoothing=False,
    )
