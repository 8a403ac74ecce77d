"""A commented study file that fits a data source: what ``study init`` writes."""

import json
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from study.config import LONGEST_NAME
from study.errors import ConfigError, printable
from study.fitting import MANY_CLASSES, Plan, plans
from study.material import points as points_of
from trainables import catalogue
from trainables.data import PointSet

SEED = 1
MOST_NAMES = 3
LONGEST_CLASS = 20
LOSSES = ("triplet", "infonce")
SPLITS = {
    "classes": "unseen classes",
    "points": "unseen points of the same classes",
    "official": "what the data's own split column says",
}

FILE = """\
# Seen in the data: {seen}.
# Written for that by `study init`{extent}. `study components` lists
# what else may stand here, and `study check` shows what a change does and how long a launch takes.
name: {name}
seed: {seed}

data:
  source: {source}
  # Test and folds hold out {held_out}{why_split}
  split: {split}
{test_fraction}  folds: {folds}  # {why_folds}
  groups: {groups}  # {why_groups}

search:  # a value is fixed, [a, b] is searched among these, {{low: a, high: b}} between these
  encoder:{encoders}
  aggregator:{aggregators}
  loss:  # options that are not named, of any component: what it suggests itself{losses}
  training:
    epochs: {epochs}
    learning_rate: {{low: 0.0003, high: 0.01, log: true}}
    # A step takes classes_per_batch x groups_per_class x group_size points. These are the largest
    # groups of which the training part of every fold has two, in at least half of the classes.
    classes_per_batch: {classes_per_batch}
    groups_per_class: 2  # the losses compare groups of one class
    group_size: {group_size}

budget:
  trials_per_combination: {trials}  # {combinations} combinations: encoder x aggregator x loss
  pack: 4  # trials that share one process

protocol:
  # Points per evaluated group; of each every held-out part has two in two classes, and the largest
  # selects.
  sizes: [{sizes}]
  confirmation: {{top: 1, seeds: {seeds}}}  # the best of each again, on the test part
"""


def study_file(source: str, is_small: bool = False) -> str:
    """The text of a study file that fits the points of a source.

    Args:
        source: ``digits``, or the path of a Parquet file.
        is_small: whether it is for a first look: two combinations, four trials of each, few
            epochs.

    Raises:
        ConfigError: if the points cannot be read, or are too few to be studied in any way.
    """
    points, problems = points_of(source)
    if points is None:
        prefix = f"data.source: {source}: "
        raise ConfigError(source, [problem.removeprefix(prefix) for problem in problems])
    plan = next(plans(source, points, SEED), None)
    if plan is None:
        raise ConfigError(
            source,
            [
                f"too few points: two classes need two groups on either side of every fold, here "
                f"are {_classes(points)}; eight points of each class are enough"
            ],
        )
    return _text(source, points, plan, is_small)


def write(source: str, out: Path, is_small: bool = False) -> None:
    """Writes :func:`study_file` to a new file.

    Raises:
        ConfigError: as above, or if the file exists or cannot be written.
    """
    text = study_file(source, is_small)
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConfigError(out, ["exists already; remove it or name another file"]) from error
    except OSError as error:
        raise ConfigError(out, [f"cannot be written: {error.strerror}"]) from error


def _text(source: str, points: PointSet, plan: Plan, is_small: bool) -> str:
    section = plan.section
    encoders = {"mlp": "quick to train"} if is_small else _encoders(points)
    aggregators, losses = _aggregators(plan), LOSSES[:1] if is_small else LOSSES
    fraction = f"  test_fraction: {section.test_fraction}  # locked away until confirmation\n"
    return FILE.format(
        seen="\n#   ".join(_seen(points)),
        extent=", for a first look" if is_small else "",
        name=_scalar(_name(source, "_small" if is_small else "")),
        seed=SEED,
        source=_scalar(source),
        held_out=SPLITS[section.split],
        why_split=_why_split(points, plan),
        split=section.split,
        test_fraction="" if section.split == "official" else fraction,
        folds=section.folds,
        why_folds=_why_folds(plan),
        groups=section.groups,
        why_groups=_why_groups(points, plan),
        encoders=_components(encoders),
        aggregators=_components(aggregators),
        classes_per_batch=plan.classes_per_batch,
        group_size=f"[2, {plan.group_size}]" if plan.group_size > 2 else plan.group_size,
        losses=_components(dict.fromkeys(losses, "")),
        trials=4 if is_small else 16,
        combinations=len(encoders) * len(aggregators) * len(losses),
        seeds=2 if is_small else 3,
        epochs=10 if is_small else 20,
        sizes=", ".join(map(str, plan.sizes)),
    )


def _seen(points: PointSet) -> list[str]:
    """Shape, classes, split and natural groups of the points, each in words."""
    sides = " x ".join(map(str, points.shape))
    form = "images, channels x height x width" if len(points.shape) == 3 else "features"
    found = [f"{len(points)} points of shape {sides} ({form})", _classes(points)]
    if points.is_test is not None:
        found.append(f"an official split that holds out {points.is_test.sum()} points for the test")
    if points.groups is not None:
        sizes = np.bincount(points.groups)
        found.append(f"{len(sizes)} natural groups, {_from_to(sizes)}")
    return [f"{words}," for words in found[:-1]] + found[-1:]


def _classes(points: PointSet) -> str:
    names = [printable(name)[:LONGEST_CLASS] for name in points.classes[:MOST_NAMES]]
    more = ", ..." if len(points.classes) > MOST_NAMES else ""
    return (
        f"{len(points.classes)} classes ({', '.join(names)}{more}), "
        f"{_from_to(np.bincount(points.labels))}"
    )


def _from_to(counts: NDArray[np.int64]) -> str:
    low, high = counts.min(), counts.max()
    return f"each of {low} points" if low == high else f"of {low} to {high} points"


def _why_split(points: PointSet, plan: Plan) -> str:
    if plan.section.split == "official":
        return ";\n  # `classes` would hold out unseen classes, `points` unseen points of all."
    count = len(points.classes)
    if (plan.section.split == "classes") == (count >= MANY_CLASSES):
        reason = "are enough to spare whole ones" if count >= MANY_CLASSES else "are few"
        return (
            f":\n  # {count} classes {reason}, from {MANY_CLASSES} on whole classes are held out."
        )
    return ",\n  # for held out otherwise the points do not make two groups in two classes."


def _why_folds(plan: Plan) -> str:
    if plan.section.folds == 1:
        return "a fifth is held out once; more folds would hold too few groups"
    more = "" if plan.section.folds == 3 else "; three would hold too few groups"
    return f"a trial is trained on each and judged by the mean{more}"


def _why_groups(points: PointSet, plan: Plan) -> str:
    if plan.section.groups == "natural":
        return "those of the data's group column; `sampled` draws groups from a class"
    lacking = "the data has no" if points.groups is None else "they do not fit the"
    return f"drawn from a class; {lacking} natural groups"


def _encoders(points: PointSet) -> dict[str, str]:
    """Names of the encoders to begin with, and what is to say of each."""
    unfit = catalogue.load("encoder", "conv4").unfit(points.shape)
    convolutional = {"conv4": ""} if unfit is None else {"linear": "the least that learns"}
    return {**convolutional, "mlp": ""}


def _aggregators(plan: Plan) -> dict[str, str]:
    if plan.group_size == 1:
        return {"mean": "of one point there is nothing for others to choose from"}
    return {"mean": "", "attention": "learns which points of a group to trust"}


def _components(named: dict[str, str]) -> str:
    return "".join(f"\n    {n}: {{}}{f'  # {why}' if why else ''}" for n, why in named.items())


def _name(source: str, ending: str) -> str:
    """The name of the data's file, as far as a study may be named so."""
    stem = re.sub(r"[^\w.-]|^[.-]+", "_", Path(source).stem)
    return stem[: LONGEST_NAME - len(ending)] + ending


def _scalar(text: str) -> str:
    """Text as YAML: plain where nothing can mistake it, else quoted."""
    is_plain = re.fullmatch(r"[A-Za-z_/.][\w/.-]*[A-Za-z]", text, re.ASCII)
    is_word = text.lower() in ("true", "false", "null", ".nan", ".inf")
    return text if is_plain and not is_word else json.dumps(text, ensure_ascii=False)
