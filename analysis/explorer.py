"""Trials to explore on the page: quality against anything, and the whole trial at the pointer."""

import json
from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from analysis import drawing
from analysis.leaderboard import best_trials, complete_trials
from analysis.metric_names import in_words
from analysis.parameters import is_numeric, is_wide, of_trials
from analysis.tables import StudyTables

DRAW = """
const figure = JSON.parse(document.getElementById("trials").textContent);
const ink = getComputedStyle(document.body).color;
figure.layout.font = {color: ink, family: "system-ui, sans-serif", size: 12};
for (const trace of figure.data) {
  if (trace.marker.color === "#000000") trace.marker.color = ink;
}
const buttons = [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]];
const options = {responsive: true, displaylogo: false, modeBarButtons: buttons};
Plotly.newPlot("explorer", figure.data, figure.layout, options);
"""
"""Draws the figure in the ink of the page, which may be light or dark."""

OWN = {"relative gap": "relative_gap", "number of the trial": "number"}
"""What every trial has besides parameters."""
GRID = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False}
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x")


def scripts() -> list[str]:
    """The scripts of the page, in order: Plotly's own (MIT licence), and what draws the figure."""
    return [get_plotlyjs(), DRAW]


def policy() -> str:
    """The sources that a browser may run on the page: these very scripts, by their digests."""
    digests = (b64encode(sha256(script.encode()).digest()).decode() for script in scripts())
    return " ".join(f"'sha256-{digest}'" for digest in digests)


def explorer(tables: StudyTables) -> dict[str, Any] | None:
    """The figure as Plotly reads it, or None where no trial is complete.

    A menu chooses what is across: the gap, the number of the trial, or a parameter that is searched
    and has numbers; quality is upwards.
    """
    trials = _trials(tables)
    if trials.empty:
        return None
    names = list(best_trials(tables)["combination"])
    columns = [*OWN.values(), *_axes(trials)]
    figure = go.Figure(
        [_trace(trials[trials["combination"] == name], name, names) for name in names],
        layout={
            "xaxis": _axis(trials, columns[0]),
            "yaxis": {"title": {"text": escape(in_words(tables.quality_name))}} | GRID,
            "updatemenus": [_menu(trials, names, columns)],
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "height": 520,
            "margin": {"l": 60, "r": 10, "t": 60, "b": 60},
            "hoverlabel": {"align": "left"},
            "template": "none",
        },
    )
    content: dict[str, Any] = json.loads(figure.to_json())
    return content


def _trials(tables: StudyTables) -> pd.DataFrame:
    """Complete trials of the search with their parameters as columns, and their words."""
    trials = complete_trials(tables)
    named = tables.parameters[tables.parameters["key"].isin(trials["key"])]
    lines = named["name"] + ": " + named["value"]
    words = {
        key: "<br>".join(map(escape, of_trial)) for key, of_trial in lines.groupby(named["key"])
    }
    shown = trials[["key", "combination", "number", "quality", "relative_gap"]]
    told = [words.get(key, "") for key in trials["key"]]
    values = of_trials(tables, trials["key"])
    return pd.concat([shown.assign(words=told).reset_index(drop=True), values], axis=1)


def _axes(trials: pd.DataFrame) -> list[str]:
    """Parameters with several numbers, of some combination at least."""
    parameters = list(trials.columns)[list(trials.columns).index("words") + 1 :]
    known = {name: trials[name].dropna() for name in parameters}
    return [n for n, values in known.items() if values.nunique() > 1 and is_numeric(values)]


def _trace(trials: pd.DataFrame, name: str, names: list[str]) -> go.Scatter:
    place = names.index(name)
    turn = place // len(drawing.COLOURS)
    return go.Scatter(
        x=_listed(trials[OWN["relative gap"]]),
        y=trials["quality"].tolist(),
        name=escape(name),
        mode="markers",
        marker={
            "color": drawing.COLOURS[place % len(drawing.COLOURS)],
            "symbol": SYMBOLS[turn % len(SYMBOLS)],
            "size": 8,
            "opacity": 0.75,
        },
        text=[f"<b>{escape(key)}</b>" for key in trials["key"]],
        customdata=trials["words"].tolist(),
        hovertemplate="%{text}<br>%{y:.4f}<br>%{customdata}<extra></extra>",
    )


def _menu(trials: pd.DataFrame, names: list[str], columns: list[str]) -> dict[str, Any]:
    words = {column: word for word, column in OWN.items()}
    of_each = [trials[trials["combination"] == name] for name in names]
    buttons = [
        {
            "label": escape(words.get(column, column)),
            "method": "update",
            "args": [
                {"x": [_listed(of_it[column]) for of_it in of_each]},
                {"xaxis": _axis(trials, column)},
            ],
        }
        for column in columns
    ]
    return {"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}


def _axis(trials: pd.DataFrame, column: str) -> dict[str, Any]:
    words = {name: word for word, name in OWN.items()}
    values = trials[column].dropna()
    is_log = column not in words and not values.empty and is_wide(values)
    kind = "log" if is_log else "linear"
    return {"title": {"text": escape(words.get(column, column))}, "type": kind} | GRID


def _listed(values: pd.Series) -> list[float | None]:
    """Values as JSON has them: None for what is not known."""
    return [None if pd.isna(value) else float(value) for value in values]
