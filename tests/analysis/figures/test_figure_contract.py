"""What every figure promises, whatever the study looks like."""

from io import BytesIO

import pytest

from analysis.report import FIGURES
from tests.analysis.studies import NAN, metric, pair, study_of, tables_of, trial, unfinished


def constant():
    trials = [trial(number=number) for number in range(3)]
    metrics = [
        metric(row["key"], name, 1.0)
        for row in trials
        for name in ("bound/m_star.size5", "bound/scale.size5", "bound/t4_relative_gap.size5")
    ]
    zero = {"distance": 0.0, "t1": 0.0, "t1_prime": 0.0, "t4": 0.0}
    return tables_of(trials, metrics, [pair(trials[0]["key"], **zero)])


def uncovered():
    row = trial(coverage="uncovered", relative_gap=NAN)
    return tables_of([row], bounds=[pair(row["key"], t1=NAN, t1_prime=NAN, t4=NAN)])


STUDIES = {
    "nothing yet": tables_of,
    "only running": lambda: tables_of([unfinished("running", ended=NAN)]),
    "only failures": lambda: tables_of([unfinished("failed"), unfinished("pruned", number=1)]),
    "one trial": lambda: tables_of([trial()]),
    "constant values": constant,
    "only uncovered": uncovered,
    "odd names": lambda: study_of(
        ["мп$x^$+<b>среднее</b>+$\\frac{1", "_private+&amp;+тройки$"], 4, pairs_each=2
    ),
}


@pytest.fixture(params=FIGURES, ids=lambda module: module.__name__.rpartition(".")[2])
def figure_module(request):
    return request.param


@pytest.mark.parametrize("make", STUDIES.values(), ids=STUDIES)
def test_every_study_gives_a_titled_figure_that_can_be_saved(figure_module, make):
    data = figure_module.data(make())
    figure = figure_module.draw(data)
    figure.savefig(BytesIO(), format="svg")
    assert figure.get_suptitle()
    assert figure_module.title(data)


@pytest.mark.parametrize("make", [STUDIES["nothing yet"], STUDIES["only failures"]])
def test_a_figure_without_data_says_what_is_missing(figure_module, make):
    figure = figure_module.draw(figure_module.data(make()))
    words = [text.get_text() for text in figure.texts]
    assert figure.axes or any("yet" in text for text in words)


def test_every_plot_has_labelled_axes(figure_module, study):
    figure = figure_module.draw(figure_module.data(study))
    outer = figure.get_supxlabel() or all(ax.get_xlabel() for ax in figure.axes)
    assert figure.axes
    assert outer


def test_nothing_is_cut_off(figure_module):
    many = [f"groupface:conv4+set_transformer{place}+group_loss" for place in range(12)]
    figure = figure_module.draw(figure_module.data(study_of(many, 3, pairs_each=2)))
    figure.draw_without_rendering()
    tight, sheet = figure.get_tightbbox(), figure.bbox_inches
    assert tight.x0 >= sheet.x0 - 0.01
    assert tight.x1 <= sheet.x1 + 0.01
    assert tight.y0 >= sheet.y0 - 0.01
    assert tight.y1 <= sheet.y1 + 0.01


def test_a_legend_lies_beside_the_axes(figure_module, study):
    figure = figure_module.draw(figure_module.data(study))
    figure.draw_without_rendering()
    for legend in figure.legends:
        left = legend.get_window_extent().x0
        assert all(ax.get_window_extent().x1 <= left for ax in figure.axes)
