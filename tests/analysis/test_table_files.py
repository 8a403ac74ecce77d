import json

import numpy as np
import pandas as pd
import pytest

from analysis.table_files import for_reading, write_data, write_tables

FRAME = pd.DataFrame(
    {
        "combination": ["mlp+norm_weighted+50%", "a|b"],
        "n": [3, 1],
        "gain": [0.12345, -0.5],
        "gain_low": [0.1, np.nan],
        "gain_high": [0.2, np.nan],
        "p": [1.23e-5, np.nan],
        "is_covered": [True, False],
    }
)


def test_parquet_and_csv_have_every_digit(tmp_path):
    write_tables({"gains": FRAME}, tmp_path / "new")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "new" / "gains.parquet"), FRAME)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "new" / "gains.csv"), FRAME)


def test_lists_are_whole_in_a_csv(tmp_path):
    values = [np.arange(2000) / 3, np.array([0.1])]
    write_data(pd.DataFrame({"values": values, "n": [1, 2]}), tmp_path / "lists")
    found = pd.read_csv(tmp_path / "lists.csv")
    assert [json.loads(text) for text in found["values"]] == [v.tolist() for v in values]
    assert found["n"].tolist() == [1, 2]


def test_tables_for_reading_have_few_digits_and_intervals_beside_their_means():
    shown = for_reading(FRAME)
    assert list(shown.columns) == ["combination", "n", "gain", "p", "is covered"]
    assert shown.iloc[0].tolist()[1:] == ["3", "0.123 [0.100, 0.200]", "1.2e-05", "yes"]
    assert shown.iloc[1].tolist()[1:] == ["1", "-0.500", "–", "no"]


def test_markdown_has_a_row_for_each_row(tmp_path):
    write_tables({"gains": FRAME}, tmp_path)
    lines = (tmp_path / "gains.md").read_text().splitlines()
    assert len(lines) == 4
    assert "0.123 [0.100, 0.200]" in lines[2]
    assert r"a\|b" in lines[3]


def test_latex_shows_names_as_they_are(tmp_path):
    write_tables({"gains": FRAME}, tmp_path)
    text = (tmp_path / "gains.tex").read_text()
    assert r"mlp+norm\_weighted+50\%" in text
    assert r"\toprule" in text


@pytest.mark.parametrize("frame", [FRAME.iloc[:0], pd.DataFrame()], ids=["no rows", "nothing"])
def test_an_empty_table_is_written_too(tmp_path, frame):
    write_tables({"empty": frame}, tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".parquet", ".csv", ".md", ".tex"}
