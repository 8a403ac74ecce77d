"""Tables of made-up studies: rows with sensible defaults, and whole studies with noise."""

import json

import numpy as np

from analysis.tables import RAW, SCHEMAS, StudyTables, table

SIZES = (2, 5, 10)
FACTORS = {"t4": 1.0, "t1_prime": 1.6, "t1": 2.4}
REASONS = {"complete": "", "pruned": "below the median at epoch 6", "failed": "loss is not finite"}
NAN = float("nan")


def trial(**values):
    """A complete search trial of mlp+mean+triplet; its key follows from what it is."""
    row = {
        "phase": "search",
        "combination": "mlp+mean+triplet",
        "number": 0,
        "seed": 0,
        "state": "complete",
        "reason": "",
        "proposed_by": "random",
        "attempt": 1,
        "coverage": "covered",
        "quality": 0.5,
        "relative_gap": 1.0,
        "started": 0.0,
        "ended": 1.0,
    } | values
    parts = dict(zip(("encoder", "aggregator", "loss"), row["combination"].split("+"), strict=True))
    key = f"{row['combination']}-{row['number']:04d}"
    if row["phase"] == "confirmation":
        key += f"-confirm-{row['seed']}"
    return {"key": key} | parts | row


def unfinished(state, **values):
    """A trial that ended, or has not ended, without a quality."""
    return trial(
        state=state, reason=REASONS.get(state, ""), quality=NAN, relative_gap=NAN, **values
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


def metric(key, name, value):
    return {"key": key, "name": name, "value": value}


def validation(key, epoch, value):
    return {"key": key, "epoch": epoch, "name": "val/map_at_r.size5", "value": value}


def parameter(key, name, value):
    return {"key": key, "name": name, "value": json.dumps(value)}


def importance(combination, name, value):
    return {"combination": combination, "name": name, "importance": value}


def mapped(key, class_name, x, y):
    """A group on a map whose axes carry half of the variance."""
    return {"key": key, "class_name": class_name, "x": x, "y": y, "explained": 0.5}


def witness(key, *classes, shape=(1, 2, 2), excess=0.25):
    """The points behind m*, of these classes."""
    roles = zip(("anchor", "positive", "negative"), classes, strict=True)
    values = [0.25] * int(np.prod(shape))
    point = {"key": key, "shape": list(shape), "values": values, "excess": excess}
    return [point | {"role": role, "class_name": name} for role, name in roles]


def tables_of(trials=(), metrics=(), bounds=(), **given):
    """A study of the given rows, selected by MAP@R and the T4 gap at groups of five."""
    rows = {name: given.pop(name, ()) for name in SCHEMAS}
    rows |= {"trials": trials, "metrics": metrics, "bounds": bounds}
    selection = {
        "name": "digits",
        "quality_name": "val/map_at_r.size5",
        "gap_name": "bound/t4_relative_gap.size5",
        "planned_trials": len(trials),
    } | given
    frames = {name: table(name, list(some)) for name, some in rows.items()}
    return StudyTables(**frames, **selection)


def confirmed(qualities, **values):
    """A study of one trial per combination, with these test qualities; NaN for a lost repeat."""
    rows = {"trials": [trial(combination=combination) for combination in qualities], "metrics": []}
    for combination, repeats in qualities.items():
        for seed, quality in enumerate(repeats, start=1):
            row = trial(combination=combination, phase="confirmation", seed=seed, proposed_by="")
            rows["trials"].append(row)
            rows["metrics"].append(metric(row["key"], "test/map_at_r.size5", quality))
    return tables_of(**rows, **values)


def study_of(combinations, trials_each, *, uncovered=(), pairs_each=40):
    """A study with noise: some trials pruned or failed, best ones confirmed on three seeds."""
    random = np.random.default_rng(0)
    rows = {name: [] for name in SCHEMAS}
    for place, combination in enumerate(combinations):
        covered = combination not in uncovered
        trials = _searched(random, combination, 0.7 - 0.015 * place, trials_each, covered)
        complete = [row for row in trials if row["state"] == "complete"]
        best = max(complete, key=lambda row: row["quality"])
        confirmed = [trial(**_again(best, seed)) for seed in (1, 2, 3)]
        rows["trials"] += trials + confirmed
        for row in complete + confirmed:
            rows["metrics"] += _metrics(random, row, covered)
        rows["bounds"] += _pairs(random, [best, *confirmed], pairs_each, covered)
        rows["parameters"] += [one for row in trials for one in _parameters(random, row["key"])]
        rows["importances"] += [
            importance(combination, name, share)
            for name, share in {"training.rate": 0.75, "encoder.mlp.hidden": 0.25}.items()
        ]
        rows["maps"] += _map(random, confirmed[0]["key"])
        rows["witnesses"] += witness(confirmed[0]["key"], "one", "one", "seven")
        rows["history"] += [
            validation(best["key"], epoch, best["quality"] * (1 - 0.5**epoch))
            for epoch in range(1, 7)
        ]
    rows["maps"] += _map(random, RAW)
    return tables_of(**rows, planned_trials=len(combinations) * trials_each + 3)


def _parameters(random, key):
    return [
        parameter(key, "training.rate", round(float(random.lognormal(-7, 1)), 6)),
        parameter(key, "encoder.mlp.hidden", int(random.choice([32, 64, 128]))),
        parameter(key, "loss.triplet.mining", str(random.choice(["all", "hard"]))),
        parameter(key, "encoder.mlp.width", 64),
    ]


def _map(random, key):
    return [
        mapped(key, name, *map(float, random.normal(place, 0.3, 2)))
        for place, name in enumerate(("one", "seven", "nine"))
        for _ in range(5)
    ]


def _again(best, seed):
    kept = {name: value for name, value in best.items() if name != "key"}
    return kept | {"phase": "confirmation", "seed": seed, "proposed_by": ""}


def _searched(random, combination, level, count, covered):
    states = [str(state) for state in random.choice(list(REASONS), count, p=[0.7, 0.22, 0.08])]
    rows = []
    for number, state in enumerate(["complete", *states[1:]]):
        quality = float(level + 0.15 * (1 - np.exp(-number / 20)) + random.normal(0, 0.03))
        gap = float(1.2 + 2 * (1 - quality) + random.normal(0, 0.15))
        values = {
            "combination": combination,
            "number": number,
            "proposed_by": "random" if number < 10 else "model",
            "coverage": "covered" if covered else "uncovered",
            "started": float(number),
            "ended": number + float(random.uniform(1, 5)),
        }
        if state == "complete":
            rows.append(trial(quality=quality, relative_gap=gap if covered else NAN, **values))
        else:
            rows.append(unfinished(state, **values))
    return rows


def _metrics(random, row, covered):
    key, phase = row["key"], "test" if row["phase"] == "confirmation" else "val"
    scale = float(random.lognormal(1, 0.3))
    gap = row["relative_gap"] if covered else 2.0
    rows = [metric(key, f"{phase}/recall_at_1.points", row["quality"] - 0.1)]
    for size in SIZES:
        rows += [
            metric(key, f"{phase}/map_at_r.size{size}", row["quality"] + random.normal(0, 0.01)),
            metric(key, f"bound/m_star.size{size}", (gap - 1.8 + random.normal(0, 0.1)) * scale),
            metric(key, f"bound/scale.size{size}", scale),
        ]
        for bound, factor in FACTORS.items() if covered else ():
            relative = gap * factor * (1 + 0.4 / size)
            rows += [
                metric(key, f"bound/{bound}_relative_gap.size{size}", relative),
                metric(key, f"bound/{bound}_tightness.size{size}", 1 / (1 + relative)),
            ]
    return rows


def _pairs(random, rows, count, covered):
    factor = 1.0 if covered else NAN
    pairs = []
    for row in rows:
        folds = range(3 if row["phase"] == "search" else 1)
        for fold, size, second in ((f, s, n) for f in folds for s in SIZES for n in range(count)):
            distance = float(random.gamma(size, 0.6 / size))
            slack = factor * float(0.3 + random.gamma(4, 0.1))
            bounds = {
                "t4": distance + slack,
                "t1_prime": distance + 1.7 * slack,
                "t1": distance + 2.9 * slack,
            }
            pairs.append(
                pair(row["key"], fold=fold, size=size, second=second, distance=distance, **bounds)
            )
    return pairs
