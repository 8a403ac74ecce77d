"""What a study would run, in words: what ``study check`` prints."""

from study.check import Study
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
