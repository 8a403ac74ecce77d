import numpy as np
import pandas as pd
import pytest

from analysis.pareto import pareto_front

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "front"),
    [
        ([], []),
        ([(0.5, 1.0)], [0]),
        ([(0.5, 1.0), (0.6, 2.0)], [1, 0]),
        ([(0.5, 1.0), (0.6, 0.9)], [1]),
        ([(0.5, 1.0), (0.5, 0.9)], [1]),
        ([(0.5, 1.0), (0.6, 1.0)], [1]),
        ([(0.5, 1.0), (0.5, 1.0)], [0, 1]),
        ([(0.9, NAN), (NAN, 0.1), (0.5, 1.0)], [2]),
        ([(0.9, NAN)], []),
    ],
    ids=[
        "nothing",
        "one",
        "a trade",
        "beaten in both",
        "beaten in gap",
        "beaten in quality",
        "a tie stays together",
        "unknown values are left out",
        "nothing is known",
    ],
)
def test_the_front_is_what_nothing_beats(values, front):
    trials = pd.DataFrame(values, columns=["quality", "relative_gap"], dtype=float)
    assert pareto_front(trials).index.tolist() == front


def test_the_front_agrees_with_comparing_all_pairs():
    random = np.random.default_rng(0)
    # Few distinct values, so that ties of all kinds occur.
    values = random.integers(0, 12, (200, 2)).astype(float)
    trials = pd.DataFrame(values, columns=["quality", "relative_gap"])
    unbeaten = [
        row
        for row, (quality, gap) in enumerate(values)
        if not any(
            q >= quality and g <= gap and (q > quality or g < gap) for q, g in values.tolist()
        )
    ]
    assert sorted(pareto_front(trials).index) == unbeaten
