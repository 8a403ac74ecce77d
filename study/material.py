"""What every trial of a study works on and is judged by: its points, their division, its rules."""

import hashlib

from study.config import DataSection, ProtocolSection
from trainables.data import DataError, PointSet
from trainables.evaluation import Protocol
from trainables.group_aware import GroupAware
from trainables.sources import open_points
from trainables.splits import folds, hold_out
from trainables.tasks import Rules, StudyData


def points(source: str | None) -> tuple[PointSet | None, list[str]]:
    """The points that a data section names as its source, or every problem with them."""
    if source is None:
        return None, ["data.source: is missing; name a Parquet file here or with --data"]
    try:
        return open_points(source), []
    except DataError as error:
        return None, [f"data.source: {problem}" for problem in error.problems]


def divide(section: DataSection, seed: int, points: PointSet) -> tuple[StudyData | None, list[str]]:
    """Folds and locked test part of the points, or every problem with dividing them."""
    if section.groups == "natural" and points.groups is None:
        return None, ["data.groups: natural needs a `group` column, the data has none; use sampled"]
    try:
        final = hold_out(points, section.split, section.test_fraction, seed)
        parts = folds(points, final.train, section.split, section.folds, seed)
    except DataError as error:
        return None, [f"data.split: {problem}" for problem in error.problems]
    if section.groups == "sampled":
        points = points.without_groups()
    return StudyData(points, tuple(parts), final), []


def digests(data: StudyData) -> dict[str, str]:
    """What identifies the points and their division: SHA-256, in hexadecimal."""
    rows = hashlib.sha256()
    for split in (*data.folds, data.final):
        rows.update(split.train.tobytes())
        rows.update(split.held_out.tobytes())
    return {"data": data.points.digest, "split": rows.hexdigest()}


def rules(protocol: ProtocolSection, seed: int, report_every: int) -> Rules:
    """How trials are judged."""
    return Rules(
        protocol=Protocol(protocol.sizes, protocol.draws, seed),
        quality_name=protocol.quality_name,
        unit_length=protocol.normalize,
        report_every=report_every,
        group_aware=GroupAware(**dict(protocol.group_aware)) if protocol.group_aware else None,
    )
