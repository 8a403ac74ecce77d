"""What a study would run, in words: what ``study check`` prints."""

from study.check import Study
from study.cost import GIB, Cost, Range
from study.duration import duration
from study.ranges import in_words


def describe(study: Study) -> str:
    """Data, trial counts and the search space of every combination."""
    points, config = study.data.points, study.config
    folds = ", ".join(f"{len(f.train)}+{len(f.held_out)}" for f in study.data.folds)
    lines = [
        f"study {config.name}: {len(study.combinations)} combinations x "
        f"{config.budget.trials_per_combination} trials, {study.planned_trials} with those that "
        "are read on the test",
        f"data: {points.source}, {len(points)} points of shape {points.shape}, "
        f"{len(points.classes)} classes; {len(study.data.final.held_out)} locked away for the test",
        f"folds (train+validation): {folds}",
    ]
    for combination in study.combinations:
        lines += ["", combination.label]
        searched = combination.distributions()
        lines += [f"  {name}: {in_words(space)}" for name, space in sorted(searched.items())]
        fixed = {
            f"{p.path}.{option}": value
            for p in combination.parts()
            for option, value in p.fixed.items()
        }
        lines += [f"  {name} = {value}" for name, value in sorted(fixed.items())]
    return "\n".join(lines)


def describe_cost(cost: Cost) -> str:
    """What a study takes, and what its budget will not do for."""
    slowest = max(cost.trials, key=lambda label: cost.trials[label])
    lines = [
        f"cost, with {cost.packs} packs at a time on machines like this one:",
        f"  time    {duration(cost.seconds.low)} to {duration(cost.seconds.high)}; alone, a whole "
        f"trial of {slowest} takes {duration(cost.trials[slowest])}",
        f"  memory  {_gibibytes(cost.memory)} of all processes together",
        f"  disk    {_gibibytes(cost.disk)} of record and MLflow",
    ]
    return "\n".join([*lines, *(f"warning: {warning}" for warning in cost.warnings)])


def _gibibytes(bytes_: Range) -> str:
    return f"{bytes_.low / GIB:.2g} to {bytes_.high / GIB:.2g} GiB"
