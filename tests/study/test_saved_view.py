"""Views as MLflow's pages read them: a tag with a name, two times and a state that is JSON."""

import json

from study.saved_view import View, bars, columns, lines, opened_at, parallel, scatter, tags

CHARTS = View(
    "charts",
    "Charts",
    "of everything",
    "tags.phase = 'search'",
    "val/q.size2",
    columns("metrics", "val/q.size2"),
    [
        scatter("dots", "bound/g", "val/q.size2"),
        parallel("threads", ["training.epochs"], ["val/q.size2"]),
        lines("lines", ["train/loss", "val/q.size2"]),
    ],
    "FIRST_20_RUNS",
)
TABLE = View("failed", "Failed", "with reasons", columns=columns("tags", "reason"))


def state_of(view):
    envelope = json.loads(tags([view])[f"mlflow.sharedViewState.{view.key}"])
    assert isinstance(envelope["createdAt"], int)
    assert isinstance(envelope["updatedAt"], int)
    assert envelope["name"] == view.name
    return json.loads(envelope["state"])


def test_a_table_has_its_columns_and_keeps_the_order_of_mlflow():
    state = state_of(TABLE)
    assert state["selectedColumns"] == ["tags.`reason`"]
    assert state["columnOrder"] == ["attributes.`Run Name`", "tags.`reason`"]
    assert state["columnWidths"] == {"attributes.`Run Name`": 260, "tags.`reason`": 420}
    assert "orderByKey" not in state
    assert "compareRunCharts" not in state


def test_runs_are_filtered_and_sorted_with_the_largest_first():
    state = state_of(CHARTS)
    assert state["searchFilter"] == "tags.phase = 'search'"
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`val/q.size2`", False)
    assert state["runsHiddenMode"] == "FIRST_20_RUNS"


def test_every_chart_lies_in_the_unfolded_section_and_has_a_name_of_its_own():
    state = state_of(CHARTS)
    (unfolded,) = (s["uuid"] for s in state["compareRunSections"] if s["display"])
    assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} == {unfolded}
    assert len({chart["uuid"] for chart in state["compareRunCharts"]}) == 3
    assert [chart["type"] for chart in state["compareRunCharts"]] == ["SCATTER", "PARALLEL", "LINE"]


def test_runs_of_a_group_have_its_largest_values():
    keys = [{"mode": "tag", "groupByData": "combination"}]
    grouped = View("a", "A", "b", charts=[bars("best", "val/q.size2")], grouped="combination")
    assert state_of(grouped)["groupBy"] == {"aggregateFunction": "max", "groupByKeys": keys}
    assert "groupBy" not in state_of(CHARTS)


def test_the_first_view_is_the_newest_for_that_is_how_mlflow_lists_them():
    created = [json.loads(value)["createdAt"] for value in tags([CHARTS, TABLE]).values()]
    assert created == sorted(created, reverse=True)
    assert created[0] > created[1]


def test_an_address_names_the_view_and_asks_for_charts_where_it_has_some():
    shared = "/runs?workflowType=machine_learning&viewStateShareKey"
    assert CHARTS.address == f"{shared}=charts&compareRunsMode=CHART"
    assert (
        TABLE.address
        == opened_at("failed", has_charts=False)
        == "/runs?workflowType=machine_learning&viewStateShareKey=failed"
    )
