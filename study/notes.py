"""What a study's runs say of themselves in MLflow, in Markdown; pure functions of the record."""

import math
from collections import Counter

import pandas as pd

from analysis.intervals import mean_intervals
from analysis.metric_names import in_words
from study.confirmation import planned_trials
from study.export import best_of_each, confirmed
from study.markdown import plain, table
from study.record import Record, Result, Trial
from trainables.tasks import PREFIXES

TAG = "mlflow.note.content"
"""The tag that MLflow shows as a description, and reads as Markdown."""
LONGEST_REASON = 1000
ROWS = 20
PROPOSED = {
    "model": ", proposed by the model",
    "random": ", drawn at random",
    "warm_start": ", taken from an earlier study",
}
STATES = ("complete", "pruned", "failed")


def of_trial(record: Record, result: Result) -> str:
    """What a run is, how it ended, and what it came to: two lines."""
    trial, outcome, protocol = result.trial, result.outcome, record.config.protocol
    reason = f": {plain(outcome.reason[:LONGEST_REASON])}" if outcome.reason else ""
    phase = PREFIXES[trial.phase]
    named = {
        f"{phase}/{protocol.quality_name}": "validation " if phase == "val" else "test ",
        f"bound/{protocol.gap_name}": "",
    }
    figures = [
        f"{of}{in_words(name)} {value:.4f}"
        for name, of in named.items()
        if math.isfinite(value := outcome.metrics.get(name, math.nan))
    ]
    lines = [f"{_what(trial)} - {outcome.state}{reason}"]
    return "\n\n".join([*lines, *([", ".join(figures)] if figures else [])])


def _what(trial: Trial) -> str:
    name, based_on = f"**{plain(trial.combination)}**", plain(trial.based_on)
    seeds = ", ".join(map(str, trial.seeds))
    if trial.phase == "search":
        return f"{name}: trial {trial.number} of the search{PROPOSED.get(trial.proposed_by, '')}"
    if trial.phase == "confirmation":
        return f"{name}: {based_on} trained again on seed {seeds}, read on the test points"
    if trial.phase == "ensemble":
        return f"{name}: the models of the folds of {based_on}, read on the test points"
    if trial.based_on:
        return f"{name}: {based_on} before training, with seed {seeds}, read on the test points"
    return "The mean of the raw points without a model, read on the test points"


def of_study(record: Record, results: list[Result]) -> str:
    """How far a study is, the best of each combination, and where the rest is."""
    config, states = record.config, Counter[str](result.outcome.state for result in results)
    labels = record.manifest["combinations"]
    planned = planned_trials(config, len(labels))
    counts = ", ".join(f"{states[state]} {state}" for state in STATES)
    best = best_of_each(config, results)
    parts = [
        f"**{plain(config.name)}**: {len(labels)} combinations of encoder, aggregator and loss; "
        f"{len(results)} of {planned} trials have ended: {counts}.",
        *([_leader(record, best[0]), _board(record, results, best)] if best else []),
        "The report is in *Artifacts*, in the folder `report`: `report.html`, its figures and its "
        f"tables. `study export {config.name}` writes configuration, weights and model card of the "
        "best of each combination, `study train` repeats it. Confirmed models are in the registry "
        "under the study's name.",
    ]
    return "\n\n".join(parts)


def _leader(record: Record, found: Result) -> str:
    quality = f"val/{record.config.protocol.quality_name}"
    return (
        f"Best on validation: **{plain(found.trial.combination)}**, "
        f"{in_words(quality)} {found.outcome.metrics[quality]:.4f} "
        f"in trial {plain(found.trial.key)}."
    )


def _board(record: Record, results: list[Result], best: list[Result]) -> str:
    """One row for each combination, best first."""
    protocol = record.config.protocol
    quality, gap = f"val/{protocol.quality_name}", f"bound/{protocol.gap_name}"
    heads = (
        "combination",
        f"validation {in_words(quality)}",
        "test, mean and 95% interval over seeds",
        in_words(gap),
    )
    rows = [
        (
            plain(found.trial.combination),
            _number(found.outcome.metrics[quality]),
            _tested(f"test/{protocol.quality_name}", confirmed(results, found)),
            _number(found.outcome.metrics.get(gap, math.nan)),
        )
        for found in best[:ROWS]
    ]
    more = f"\n\n{len(best) - ROWS} more in the report." if len(best) > ROWS else ""
    return table(heads, rows) + more


def _tested(name: str, confirmations: list[Result]) -> str:
    values = [r.outcome.metrics[name] for r in confirmations if name in r.outcome.metrics]
    if not values:
        return "-"
    frame = pd.DataFrame({"of": "all", "test": values})
    (mean,) = mean_intervals(frame, ["of"], ["test"]).to_dict("records")
    interval = f" \\[{mean['test_low']:.4f}, {mean['test_high']:.4f}\\]" if len(values) > 1 else ""
    return f"{mean['test']:.4f}{interval} (n = {len(values)})"


def _number(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "-"
