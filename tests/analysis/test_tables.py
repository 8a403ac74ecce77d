import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from analysis.tables import SCHEMAS, StudyTables, table
from tests.analysis.studies import importance, mapped, metric, pair, tables_of, trial, witness

ROWS = {
    "trials": [trial()],
    "parameters": [{"key": "a", "name": "loss.triplet.margin", "value": "0.5"}],
    "metrics": [metric("a", "train/loss", 0.5)],
    "history": [{"key": "a", "epoch": 1, "name": "train/loss", "value": 0.5}],
    "bounds": [pair("a")],
    "importances": [importance("a+b+c", "loss.triplet.margin", 0.5)],
    "maps": [mapped("a", "seven", 0.5, 1.5)],
    "witnesses": witness("a", "one", "one", "seven")[:1],
}


def study(**frames):
    """A study of empty tables but for these."""
    tables = {name: table(name, []) for name in SCHEMAS} | frames
    return StudyTables("study", "val/map_at_r.size5", "bound/t4_relative_gap.size5", 1, **tables)


@pytest.mark.parametrize("name", SCHEMAS)
def test_an_empty_table_has_the_columns_and_types_of_one_with_rows(name):
    frame = table(name, [])
    assert len(frame) == 0
    assert list(frame.columns) == SCHEMAS[name].names
    assert frame.dtypes.equals(table(name, ROWS[name]).dtypes)


@pytest.mark.parametrize("name", SCHEMAS)
def test_rows_are_read_back_as_they_were_given(name):
    frame = table(name, ROWS[name])
    # A list in a cell comes back as an array.
    plain = frame.map(lambda value: value.tolist() if isinstance(value, np.ndarray) else value)
    assert plain.to_dict("records") == ROWS[name]
    assert getattr(study(**{name: frame}), name).equals(frame)


def test_whole_numbers_where_figures_are_expected_become_figures():
    frame = table("metrics", [metric("a", "train/loss", 1)])
    assert frame["value"].dtype == np.float64


def test_an_unknown_figure_is_not_a_number():
    frame = table("metrics", [metric("a", "train/loss", None)])
    assert np.isnan(frame["value"][0])


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("trials", "number", "first"),
        ("trials", "quality", "good"),
        ("trials", "state", 3),
        ("metrics", "value", "high"),
        ("bounds", "fold", "a"),
    ],
)
def test_a_row_with_a_value_of_another_type_is_refused(name, column, value):
    (row,) = ROWS[name]
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
        table(name, [row | {column: value}])


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("trials", "number", "first"),
        ("trials", "quality", "good"),
        ("trials", "state", 3),
        ("history", "epoch", 1.5),
        ("metrics", "value", "high"),
        ("bounds", "fold", "a"),
    ],
)
def test_a_study_refuses_a_table_with_a_column_of_another_type(name, column, value):
    (row,) = ROWS[name]
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError), match=column):
        study(**{name: pd.DataFrame([row | {column: value}])})


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_table_that_lacks_a_column_is_refused(name):
    last = SCHEMAS[name].names[-1]
    with pytest.raises(KeyError, match=last):
        study(**{name: table(name, ROWS[name]).drop(columns=last)})


def test_a_study_keeps_its_tables():
    tables = tables_of([trial()], metrics=[metric("a", "train/loss", 0.5)])
    assert (len(tables.trials), len(tables.metrics), len(tables.bounds)) == (1, 1, 0)
    with pytest.raises(AttributeError):
        tables.name = "other"
