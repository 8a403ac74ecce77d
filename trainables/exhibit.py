"""What a report shows of a model: a map of its group embeddings, and the points behind ``m*``."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Int
from torch import Tensor

from trainables.aggregation import aggregated
from trainables.contracts import Aggregator
from trainables.data import PointSet
from trainables.grouping import Groups
from trainables.witness import worst_triplet

MAPPED_CLASSES, MAPPED_GROUPS = 12, 40
"""Classes on a map, and groups of each, at most: more are not told apart by eye."""
ROLES = ("anchor", "positive", "negative")


class Exhibit(NamedTuple):
    """Tables of a map and of a witness.

    ``map`` has a row for each group: ``class_name``; ``x`` and ``y``, its embedding along the first
    two principal axes of those on the map, embedding units; ``explained``, the share of their
    variance that the two axes carry, the same in each row.

    ``witness`` has a row for each point of the triplet whose ``excess`` is ``m*`` of the groups:
    ``role``, ``class_name``, its ``shape`` and its ``values``; without rows where there is none.
    """

    map: pa.Table
    witness: pa.Table


@torch.no_grad()
def exhibit(
    embeddings: Float[Tensor, "rows width"],
    groups: Groups,
    aggregator: Aggregator,
    points: PointSet,
    rows: Int[np.ndarray, " rows"],
) -> Exhibit:
    """What there is to see of groups.

    Args:
        embeddings: of the points.
        groups: of these points.
        aggregator: is applied in evaluation mode.
        points: all points of the study.
        rows: which of them the embeddings are of.
    """
    shown = _shown(groups.labels)
    vectors = aggregated(aggregator, embeddings[groups.members[shown]])
    classes = groups.labels[shown].tolist()
    return Exhibit(
        _map(vectors.double(), [points.classes[label] for label in classes]),
        _witness(embeddings, groups, points, rows),
    )


def _shown(labels: Int[Tensor, " groups"]) -> Int[Tensor, " shown"]:
    """The first groups of classes at equal steps."""
    classes = labels.unique()
    step = -(-len(classes) // MAPPED_CLASSES)
    return torch.cat([(labels == one).nonzero()[:MAPPED_GROUPS, 0] for one in classes[::step]])


def _map(vectors: Float[Tensor, "groups width"], classes: list[str]) -> pa.Table:
    centred = vectors - vectors.mean(0)
    left, lengths, _ = torch.linalg.svd(centred, full_matrices=False)
    # One number to a group has one axis only.
    axes = torch.zeros(len(vectors), 2, dtype=vectors.dtype)
    axes[:, : len(lengths[:2])] = left[:, :2] * lengths[:2]
    variance = lengths.square()
    explained = float(variance[:2].sum() / variance.sum().clamp_min(1e-300))
    return pa.table(
        {
            "class_name": classes,
            "x": axes[:, 0].numpy(),
            "y": axes[:, 1].numpy(),
            "explained": [explained] * len(classes),
        }
    )


def _witness(
    embeddings: Float[Tensor, "rows width"],
    groups: Groups,
    points: PointSet,
    rows: Int[np.ndarray, " rows"],
) -> pa.Table:
    members = groups.members.flatten()
    labels = groups.labels.repeat_interleave(groups.members.shape[1])
    found = worst_triplet(embeddings[members], labels)
    of_roles = [] if found is None else [int(members[place]) for place in found[:3]]
    values = points.take(rows[of_roles]).flatten(1).tolist() if of_roles else []
    return pa.table(
        {
            "role": pa.array(ROLES[: len(of_roles)], pa.string()),
            "class_name": [points.classes[points.labels[rows[row]]] for row in of_roles],
            "shape": pa.array([list(points.shape)] * len(of_roles), pa.list_(pa.int64())),
            "values": pa.array(values, pa.list_(pa.float32())),
            "excess": pa.array([found.excess] * 3 if found else [], pa.float64()),
        }
    )
