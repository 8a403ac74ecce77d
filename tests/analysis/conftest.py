"""Tables of made-up studies: rows with sensible defaults, and one study with everything in it."""

import json

import numpy as np
import pytest

from analysis.tables import StudyTables, table

SIZES = (2, 5, 10)
FACTORS = {"t4": 1.0, "t1_prime": 1.6, "t1": 2.4}


def trial(**values):
    """A complete search trial of mlp+mean+triplet; its key follows from what it is."""
    combination = values.get("combination", "mlp+mean+triplet")
    encoder, aggregator, loss = combination.split("+")
    row = {
        "phase": "search",
        "combination": combination,
        "encoder": encoder,
        "aggregator": aggregator,
        "loss": loss,
        "number": 0,
        "seed": 0,
        "state": "complete",
        "reason": "",
        "proposed_by": "random",
        "coverage": "covered",
        "quality": 0.5,
        "relative_gap": 1.0,
        "started": 0.0,
        "ended": 1.0,
    } | values
    key = "-".join(str(row[name]) for name in ("phase", "combination", "number", "seed"))
    return {"key": key} | row


def tables_of(trials=(), metrics=(), bounds=(), parameters=(), **values):
    """A study of the given rows, selected by MAP@R and the T4 gap at groups of five."""
    return StudyTables(
        name=values.get("name", "digits"),
        quality_name="val/map_at_r.size5",
        gap_name="bound/t4_relative_gap.size5",
        planned_trials=values.get("planned_trials", len(trials)),
        trials=table("trials", list(trials)),
        parameters=table("parameters", list(parameters)),
        metrics=table("metrics", list(metrics)),
        history=table("history", []),
        bounds=table("bounds", list(bounds)),
    )


def pair(key, **values):
    """Two same-class groups of five at distance 1, with bounds 2, 3 and 4 and scale 2."""
    return {
        "key": key,
        "fold": 0,
        "size": 5,
        "class_name": "seven",
        "first": 0,
        "second": 1,
        "distance": 1.0,
        "m_star": 0.5,
        "t1": 4.0,
        "t1_prime": 3.0,
        "t4": 2.0,
        "scale": 2.0,
    } | values


def metric_row(key, name, value):
    return {"key": key, "name": name, "value": value}


def study_of(combinations, trials_each, *, uncovered=(), pairs_each=40, seed=0):
    """A finished study with noise: a fifth pruned, a few failed, best trials confirmed thrice."""
    random = np.random.default_rng(seed)
    trials, metrics, bounds, parameters = [], [], [], []
    for place, combination in enumerate(combinations):
        covered = combination not in uncovered
        rows = _searched(random, combination, 0.75 - 0.02 * place, trials_each, covered)
        complete = [row for row in rows if row["state"] == "complete"]
        best = max(complete, key=lambda row: row["quality"])
        confirmed = [
            best | {"phase": "confirmation", "seed": s, "key": f"{best['key']}/{s}"}
            for s in (1, 2, 3)
        ]
        trials += rows + confirmed
        for row in complete + confirmed:
            metrics += _metrics(random, row, covered)
        bounds += _pairs(random, [best, *confirmed], pairs_each, covered)
        learning_rate = json.dumps(round(float(random.lognormal(-7, 1)), 6))
        parameters.append(
            {"key": best["key"], "name": "training.learning_rate", "value": learning_rate}
        )
    planned = len(combinations) * trials_each + 3
    return tables_of(trials, metrics, bounds, parameters, planned_trials=planned)


def _searched(random, combination, level, count, covered):
    states = random.choice(["complete", "pruned", "failed"], count, p=[0.7, 0.22, 0.08])
    states[0] = "complete"
    reasons = {
        "complete": "",
        "pruned": "below the median at epoch 6",
        "failed": "loss is not finite",
    }
    for number, state in enumerate(states):
        quality = level + 0.15 * (1 - np.exp(-number / 20)) + random.normal(0, 0.05)
        yield_gap = 1.2 + 2 * (1 - quality) + random.normal(0, 0.15)
        complete = state == "complete"
        if number == 0:
            rows = []
        rows.append(
            trial(
                combination=combination,
                number=number,
                state=str(state),
                reason=reasons[str(state)],
                proposed_by="random" if number < 10 else "model",
                coverage="covered" if covered else "uncovered",
                quality=float(quality) if complete else float("nan"),
                relative_gap=float(yield_gap) if complete and covered else float("nan"),
                started=float(number),
                ended=number + float(random.uniform(1, 5)),
            )
        )
    return rows


def _metrics(random, row, covered):
    key, phase = row["key"], "test" if row["phase"] == "confirmation" else "val"
    scale = float(random.lognormal(1, 0.3))
    margin = (row["relative_gap"] - 1.8 + random.normal(0, 0.1)) * scale
    rows = [metric_row(key, f"{phase}/recall_at_1.points", row["quality"] - 0.1)]
    for size in SIZES:
        gap = row["relative_gap"] * (1 + 0.4 / size)
        quality = row["quality"] + random.normal(0, 0.01)
        rows += [
            metric_row(key, f"{phase}/map_at_r.size{size}", quality),
            metric_row(key, f"bound/m_star.size{size}", margin),
            metric_row(key, f"bound/scale.size{size}", scale),
        ]
        for bound, factor in FACTORS.items() if covered else ():
            rows += [
                metric_row(key, f"bound/{bound}_relative_gap.size{size}", gap * factor),
                metric_row(key, f"bound/{bound}_tightness.size{size}", 1 / (1 + gap * factor)),
            ]
    return rows


def _pairs(random, rows, count, covered):
    factor = 1.0 if covered else float("nan")
    pairs = []
    for row in rows:
        for fold in range(3 if row["phase"] == "search" else 1):
            for size in SIZES:
                distances = random.gamma(size, 0.3 / size, count)
                slacks = factor * (1.2 + random.gamma(4, 0.1, count))
                pairs += [
                    pair(
                        row["key"],
                        fold=fold,
                        size=size,
                        second=place + 1,
                        distance=float(distance),
                        t4=float(distance + slack),
                        t1_prime=float(distance + 1.7 * slack),
                        t1=float(distance + 2.9 * slack),
                    )
                    for place, (distance, slack) in enumerate(zip(distances, slacks, strict=True))
                ]
    return pairs


@pytest.fixture(scope="session")
def study():
    """Five combinations, one uncovered; trials pruned and failed; best trials confirmed."""
    names = [f"mlp+{a}+{b}" for a in ("mean", "attention") for b in ("triplet", "infonce")]
    return study_of([*names, "mlp+max+triplet"], 30, uncovered=["mlp+max+triplet"])
