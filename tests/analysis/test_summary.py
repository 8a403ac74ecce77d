from analysis.summary import reasons, summary
from tests.analysis.studies import tables_of, trial, unfinished

TRIALS = [
    trial(number=0),
    trial(number=1, proposed_by="model"),
    unfinished("pruned", number=2, proposed_by="model"),
    unfinished("failed", number=3, attempt=3),
    unfinished("failed", number=4, combination="mlp+max+triplet"),
    unfinished("running", number=5, proposed_by="warm_start"),
    trial(phase="confirmation", seed=1, proposed_by=""),
]


def test_search_trials_are_counted_by_state_and_proposer():
    counted = summary(tables_of(TRIALS, planned_trials=10))
    assert counted == (10, 2, 1, 2, 1, 4, 2, 3, 1, 1, 1)
    assert counted.waiting == 4


def test_a_study_that_outgrew_its_plan_has_nobody_waiting():
    assert summary(tables_of(TRIALS, planned_trials=3)).waiting == 0


def test_reasons_are_listed_with_their_combinations():
    rows = reasons(tables_of(TRIALS)).to_dict("records")
    assert rows == [
        {
            "state": "failed",
            "reason": "loss is not finite",
            "trials": 2,
            "combinations": "mlp+max+triplet, mlp+mean+triplet",
        },
        {
            "state": "pruned",
            "reason": "below the median at epoch 6",
            "trials": 1,
            "combinations": "mlp+mean+triplet",
        },
    ]
