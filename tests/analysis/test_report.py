import json
import re
from html import unescape
from html.parser import HTMLParser
from io import BytesIO

import pytest
from PIL import Image

from analysis import explorer, report
from tests.analysis.studies import confirmed, parameter, tables_of, trial, unfinished

SCRIPT = re.compile(r"<script[^>]*>(.*?)</script>", re.DOTALL)
MARKUP = '<script>alert("&")</script>'


class Page(HTMLParser):
    """Every address a page asks for, every element it has and all its text."""

    def __init__(self, html):
        super().__init__()
        self.addresses, self.elements, self.text = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.addresses += [value for name, value in attrs if name in {"src", "href", "srcset"}]

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def folder(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    assert report.write(study, folder) == folder / "report.html"
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_the_page_asks_for_nothing_outside_itself(folder, page):
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert not re.search(r"https?://|url\(|@import|<link", SCRIPT.sub("", html))


def test_the_page_runs_its_own_scripts_only_and_may_run_no_others(folder):
    html = (folder / "report.html").read_text(encoding="utf-8")
    data, *scripts = SCRIPT.findall(html)
    assert scripts == explorer.scripts()
    assert json.loads(data)["data"]
    assert f"script-src {explorer.policy()}" in unescape(html)


def test_the_page_shows_every_figure(folder, page):
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert len(page.addresses) == len(report.FIGURES)
    for module in report.FIGURES:
        assert f'<figure id="{module.__name__.rpartition(".")[2]}">' in html


def test_every_figure_is_also_a_png_and_an_svg(folder):
    names = {module.__name__.rpartition(".")[2] for module in report.FIGURES}
    files = {path.name for path in (folder / "figures").iterdir()}
    kinds = ("png", "svg", "csv", "parquet")
    assert files == {f"{name}.{kind}" for name in names for kind in kinds}
    for name in names:
        with Image.open(BytesIO((folder / "figures" / f"{name}.png").read_bytes())) as picture:
            assert picture.width == 1920


def test_the_summary_is_in_words(study, page):
    words = " ".join(page.text.split())
    counts = study.trials[study.trials["phase"] == "search"]["state"].value_counts()
    assert f"Of 103 planned trials {counts['complete']} are complete" in words
    assert f"{counts['pruned']} were pruned, {counts['failed']} failed, 0 are running" in words
    assert "50 were proposed by the model and 50 at random" in words
    assert "Trained again on 3 fresh seeds" in words


def test_every_combination_is_on_the_leaderboard(study, page):
    leaderboard = page.text.partition("Leaderboard")[2].partition("Confirmations")[0]
    assert all(name in leaderboard for name in study.trials["combination"])


def test_every_pair_of_confirmed_combinations_is_tested(study, page):
    significance = page.text.partition("Significance")[2].partition("Figures")[0]
    names = set(study.trials["combination"])
    assert all(significance.count(name) == len(names) - 1 for name in names)
    assert significance.count("no difference shown") > 0


def test_a_study_without_repeats_says_why_no_pair_is_tested(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "FIGURES", report.FIGURES[-1:])
    tables = confirmed({"a+b+c": [0.5], "d+e+f": [0.6]})
    page = Page(report.write(tables, tmp_path).read_text(encoding="utf-8"))
    assert "No two combinations are confirmed on the same two seeds yet" in page.text


@pytest.mark.parametrize(
    "tables",
    [
        tables_of(name=MARKUP),
        tables_of([trial(combination=f"a+{MARKUP}+b")]),
        tables_of([unfinished("failed") | {"reason": MARKUP}]),
        tables_of([trial()], parameters=[parameter(trial()["key"], MARKUP, MARKUP)]),
    ],
    ids=["study", "combination", "reason", "parameter"],
)
def test_names_are_shown_as_they_stand(tables, tmp_path, monkeypatch):
    # The figures are held to this elsewhere; here only the page is read.
    monkeypatch.setattr(report, "FIGURES", report.FIGURES[-1:])
    page = Page(report.write(tables, tmp_path).read_text(encoding="utf-8"))
    assert page.elements.count("script") in (0, 1 + len(explorer.scripts()))
    assert MARKUP in page.text


def test_an_empty_study_has_a_whole_page(tmp_path):
    page = Page(report.write(tables_of(), tmp_path).read_text(encoding="utf-8"))
    assert "No trial is complete yet" in page.text
    assert "No trial has started yet" in page.text
    assert len(page.addresses) == len(report.FIGURES)


def test_writing_again_gives_the_same_files_and_leaves_no_others(study, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "FIGURES", report.FIGURES[:1])

    def written():
        report.write(study, tmp_path)
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    assert written() == written()
