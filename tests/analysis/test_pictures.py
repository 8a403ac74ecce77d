import os

import pytest

from analysis.figures import best_so_far, states, training_curves
from analysis.pictures import FEW, Drawers, drawers

FIGURES = (best_so_far, states, training_curves)


def drawn(team, tables):
    team.begin([(module, module.data(tables)) for module in FIGURES])
    return team.pictures()


def test_other_processes_draw_the_same_in_the_same_order(study):
    alone = drawn(Drawers(), study)
    with drawers(FEW + 1) as team:
        together = drawn(team, study)
    assert [picture.name for picture in together] == ["best_so_far", "states", "training_curves"]
    for one, other in zip(alone, together, strict=True):
        assert one._replace(data=None) == other._replace(data=None)
        assert one.data.equals(other.data)


def test_a_figure_that_cannot_be_drawn_raises_wherever_it_was_drawn(study):
    broken = [(states, "no data"), *((module, module.data(study)) for module in FIGURES)]
    with drawers(FEW + 1) as team:
        team.begin(broken)
        with pytest.raises(AttributeError):
            team.pictures()


@pytest.mark.parametrize(("trials", "are_others"), [(FEW, False), (FEW + 1, True)])
def test_others_help_where_there_are_many_trials_and_another_core(trials, are_others):
    with drawers(trials) as team:
        assert (team._others is not None) == (are_others and (os.cpu_count() or 1) > 1)
