"""A commented study file that fits a data source: what ``study init`` writes."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal, final

from study import feasibility, material
from study.config import LONGEST_NAME, DataSection
from study.errors import ConfigError
from study.space import OptionSpaces
from trainables import catalogue
from trainables.data import PointSet
from trainables.tasks import StudyData

MANY_CLASSES = 20
FOLDS = (3, 2, 1)
GROUP_SIZES = (5, 4, 3, 2, 1)
MOST_CLASSES_PER_BATCH = 16
SIZES = (1, 2, 5)
SEED = 1

FILE = """\
# {headline}
# Written by `study init`; see `study components` for every component, option and range, and check
# what a change does with `study check`.
name: {name}
seed: {seed}

data:
  source: {source}
  # classes: test and folds hold out unseen classes; points: unseen points of the same classes;
  # official: the data's own split column.
  split: {split}
{test_fraction}  folds: {folds}
  # sampled: groups are drawn from a class; natural: inside the data's group column.
  groups: {groups}

search:  # a value is fixed, [a, b] is searched among these, {{low: a, high: b}} between these
  encoder:{encoders}
  aggregator:{aggregators}
  loss:
    triplet: {{}}  # options not named: the component's own suggestion
    infonce: {{}}
  training:
    epochs: 20
    learning_rate: {{low: 0.0003, high: 0.01, log: true}}
    # A step takes classes_per_batch x groups_per_class x group_size points.
    classes_per_batch: {classes_per_batch}
    groups_per_class: 2
    group_size: {group_size}

budget:
  trials_per_combination: 16
  pack: 4  # trials that share one process

protocol:
  sizes: [{sizes}]  # points per evaluated group; the largest one selects
  confirmation: {{top: 1, seeds: 3}}  # the best of each combination again, on the locked test part
"""


@final
@dataclass(frozen=True)
class _Plan:
    """A division of the data with the largest groups and batches that it can supply."""

    section: DataSection
    group_size: int
    classes_per_batch: int
    sizes: tuple[int, ...]


def study_file(source: str) -> str:
    """The text of a study file that fits the points of a source.

    Args:
        source: ``digits``, or the path of a Parquet file.

    Raises:
        ConfigError: if the points cannot be read, or are too few to be studied in any way.
    """
    points, problems = material.points(source)
    if points is None:
        prefix = f"data.source: {source}: "
        raise ConfigError(source, [problem.removeprefix(prefix) for problem in problems])
    plan = next(_plans(source, points), None)
    if plan is None:
        raise ConfigError(
            source,
            ["too few points: two classes need two groups on either side of every fold"],
        )
    return _text(source, points, plan)


def write(source: str, out: Path) -> None:
    """Writes :func:`study_file` to a new file.

    Raises:
        ConfigError: as above, or if the file exists or cannot be written.
    """
    text = study_file(source)
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConfigError(out, ["exists already; remove it or name another file"]) from error
    except OSError as error:
        raise ConfigError(out, [f"cannot be written: {error.strerror}"]) from error


def _plans(source: str, points: PointSet) -> Iterator[_Plan]:
    """Divisions that work, the most telling one first."""
    kinds: tuple[Literal["natural", "sampled"], ...] = ("natural", "sampled")
    for split, groups, folds in product(
        _splits(points), kinds if points.groups is not None else kinds[1:], FOLDS
    ):
        section = DataSection(source=source, split=split, folds=folds, groups=groups)
        data, _ = material.divide(section, SEED, points)
        plan = _fitted(section, data) if data else None
        if plan:
            yield plan


def _splits(points: PointSet) -> list[Literal["classes", "points", "official"]]:
    drawn: list[Literal["classes", "points", "official"]] = (
        ["classes", "points"] if len(points.classes) >= MANY_CLASSES else ["points", "classes"]
    )
    return drawn if points.is_test is None else ["official", *drawn]


def _fitted(section: DataSection, data: StudyData) -> _Plan | None:
    """The largest groups that cost at most half of the classes, or None where there are none."""
    sizes = tuple(size for size in SIZES if feasibility.is_evaluable(data, size))
    classes = {size: _classes_per_batch(data, size) for size in GROUP_SIZES}
    enough = max(2, classes[min(GROUP_SIZES)] / 2)
    for size, count in classes.items():
        if sizes and count >= enough:
            return _Plan(section, size, count, sizes)
    return None


def _classes_per_batch(data: StudyData, group_size: int) -> int:
    """The most classes of which every training part has two groups of a size; 0 for none."""
    wanted = {"groups_per_class": 2, "group_size": group_size, "group_size_spread": 0}
    for count in range(min(MOST_CLASSES_PER_BATCH, len(data.points.classes)), 1, -1):
        training = OptionSpaces("training", {**wanted, "classes_per_batch": count}, {})
        if not feasibility.problems(None, training, data):
            return count
    return 0


def _text(source: str, points: PointSet, plan: _Plan) -> str:
    section = plan.section
    fits_conv4 = catalogue.load("encoder", "conv4").unfit(points.shape) is None
    shape = " x ".join(map(str, points.shape))
    fraction = f"  test_fraction: {section.test_fraction}  # locked away until confirmation\n"
    # A group of one point leaves attention nothing to choose from.
    aggregators = ("mean", "attention") if plan.group_size > 1 else ("mean",)
    return FILE.format(
        headline=f"{len(points)} points of shape {shape}, {len(points.classes)} classes.",
        name=_scalar(_name(source)),
        seed=SEED,
        source=_scalar(source),
        split=section.split,
        test_fraction="" if section.split == "official" else fraction,
        folds=section.folds,
        groups=section.groups,
        encoders=_components("conv4" if fits_conv4 else "linear", "mlp"),
        aggregators=_components(*aggregators),
        classes_per_batch=plan.classes_per_batch,
        group_size=f"[2, {plan.group_size}]" if plan.group_size > 2 else plan.group_size,
        sizes=", ".join(map(str, plan.sizes)),
    )


def _components(*names: str) -> str:
    return "".join(f"\n    {name}: {{}}" for name in names)


def _name(source: str) -> str:
    """The name of the data's file, as far as a study may be named so."""
    return re.sub(r"[^\w.-]|^[.-]+", "_", Path(source).stem)[:LONGEST_NAME]


def _scalar(text: str) -> str:
    """Text as YAML: plain where nothing can mistake it, else quoted."""
    is_plain = re.fullmatch(r"[A-Za-z_/.][\w/.-]*[A-Za-z]", text, re.ASCII)
    is_word = text.lower() in ("true", "false", "null", ".nan", ".inf")
    return text if is_plain and not is_word else json.dumps(text, ensure_ascii=False)
