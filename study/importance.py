"""Which searched parameters quality depends on, of each combination."""

import optuna
from optuna.trial import create_trial

from study import confirmation
from study.config import StudyConfig
from study.record import Result
from study.searched_values import searched_values
from study.space import Combination, search_space

optuna.logging.set_verbosity(optuna.logging.WARNING)
LEAST_TRIALS = 10
"""Complete trials of a combination; what fewer say is noise."""
BEST_SHARE, LEAST_BEST = 0.1, 5
"""The best trials that are set against all: a share of them, and so many at least."""


def importances(config: StudyConfig, results: list[Result]) -> list[dict[str, object]]:
    """Rows of the table of importances; none of a combination with too few complete trials.

    PED-ANOVA (Watanabe, Bansal, Hutter, "PED-ANOVA: Efficiently Quantifying Hyperparameter
    Importance in Arbitrary Subspaces", 2023): how far the values of the best trials are from those
    of all, by parameter, as shares of 1.

    Args:
        config: of the study.
        results: all that the record has.
    """
    space, _ = search_space(config.search.model_dump())
    complete = confirmation.best(config, results)
    rows: list[dict[str, object]] = []
    for combination in space.combinations:
        of_it = [result for result in complete if result.trial.combination == combination.label]
        if len(of_it) >= LEAST_TRIALS and combination.distributions():
            rows += _rows(combination, of_it, f"val/{config.protocol.quality_name}")
    return rows


def _rows(
    combination: Combination, complete: list[Result], quality: str
) -> list[dict[str, object]]:
    # Imports scikit-learn, which nobody needs who only reads tables.
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    study = optuna.create_study(direction="maximize")
    spaces = combination.distributions()
    for result in complete:
        values = searched_values(combination, result.trial.configuration)
        known = {name: spaces[name] for name in values}
        value = result.outcome.metrics[quality]
        study.add_trial(create_trial(params=values, distributions=known, value=value))
    share = max(BEST_SHARE, LEAST_BEST / len(complete))
    evaluator = PedAnovaImportanceEvaluator(target_quantile=share)
    found = get_param_importances(study, evaluator=evaluator)
    return [
        {"combination": combination.label, "name": name, "importance": importance}
        for name, importance in found.items()
    ]
