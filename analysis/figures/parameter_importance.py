"""Which parameters decided how good a trial was."""

from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from analysis import drawing
from analysis.leaderboard import best_trials
from analysis.tables import StudyTables

CAPTION = (
    "Share of each searched parameter in what sets the best trials of a combination apart from all "
    "of its complete ones (PED-ANOVA; Watanabe, Bansal and Hutter, 2023); the shares of a row add "
    "up to 1. An empty field is a parameter that the combination does not have or does not search. "
    "A parameter of small share may still matter outside of the values that were tried."
)


class ParameterImportance(NamedTuple):
    """``shares`` has a row per combination, best first, and a column per parameter; NaN for none.

    Parameters are in the order of their mean share, the largest first.
    """

    shares: pd.DataFrame


def data(tables: StudyTables) -> ParameterImportance:
    """The table of importances, spread out."""
    shares = tables.importances.pivot(index="combination", columns="name", values="importance")
    order = [name for name in best_trials(tables)["combination"] if name in shares.index]
    columns = shares.mean().sort_values(ascending=False, kind="stable").index
    return ParameterImportance(shares.loc[order, columns].rename_axis(columns=None))


def title(data: ParameterImportance) -> str:
    """Names the parameter that most combinations depend on."""
    if data.shares.empty:
        return "Importance of the parameters"
    first = data.shares.idxmax(axis=1).value_counts()
    return (
        f"{first.index[0]} decides most in {first.iloc[0]} of {len(data.shares)} "
        f"combination{'' if len(data.shares) == 1 else 's'}"
    )


def draw(data: ParameterImportance) -> Figure:
    """A field for each combination and parameter, the darker the larger its share."""
    if data.shares.empty:
        return drawing.missing(title(data), "no combination has enough complete trials yet")
    names = list(data.shares.index)
    figure = drawing.rows_sheet(title(data), names)
    # Names of parameters stand below, askew.
    figure.set_figheight(figure.get_figheight() + 1.2)
    (ax,) = drawing.panels(figure, 1, 1)
    ax.grid(visible=False)
    ax.imshow(data.shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, shares in enumerate(data.shares.to_numpy()):
        for column, share in enumerate(shares):
            if not pd.isna(share):
                colour = "white" if share > 0.6 else drawing.INK
                text = f"{share:.2f}"
                ax.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    ax.set_yticks(range(len(names)), [drawing.label(name) for name in names])
    columns = [drawing.plain(str(name)) for name in data.shares.columns]
    ax.set_xticks(range(len(columns)), columns, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_xlabel("searched parameter")
    return figure
