"""Grouped points for the tests of bounds: reference cases and random ones."""

import json
from functools import partial
from pathlib import Path

import torch

from trainables import bounds
from trainables.separation import certified, raise_largest
from trainables.tighter_bounds import tighter_bounds

ORACLE = json.loads((Path(__file__).parents[1] / "oracles" / "bound.json").read_text())["cases"]
PAIRED = [name for name, case in ORACLE.items() if case["outputs"]["pair_bounds"]]
KINDS = ["overlapping", "separated", "real margin", "duplicates", "singletons", "unit sphere"]
float64 = partial(torch.tensor, dtype=torch.float64)


def oracle_groups(name):
    """Members, mask, labels and Dirichlet weights of a case, padded with what must not matter."""
    inputs = ORACLE[name]["inputs"]
    points, ids = float64(inputs["embeddings"]), torch.tensor(inputs["group_ids"])
    groups = [points[ids == group] for group in range(int(ids.max()) + 1)]
    mask = torch.tensor([[p < len(g) for p in range(max(map(len, groups)))] for g in groups])
    members = torch.full((*mask.shape, points.shape[1]), 1e3, dtype=torch.float64)
    members[mask] = torch.cat(groups)
    weights = torch.zeros(mask.shape, dtype=torch.float64)
    weights[mask] = float64([w for g in range(len(groups)) for w in inputs["weights"][str(g)]])
    classes = ORACLE[name]["outputs"]["group_class"]
    labels = torch.tensor([classes[str(group)] for group in range(len(groups))])
    return members, mask, labels, weights


def random_groups(kind, seed, width=None):
    """Groups of 1 to 4 points: members, mask, labels and uneven weights."""
    generator = torch.Generator().manual_seed(seed)
    groups, points = 30, 4
    width = width or int(torch.randint(1, 6, (), generator=generator))
    labels = torch.randint(5, (groups,), generator=generator)
    centres = torch.randn(5, width, generator=generator, dtype=torch.float64)
    noise = torch.randn(groups, points, width, generator=generator, dtype=torch.float64)
    if kind == "real margin":
        # Far corners of a cube and small clouds: m* is negative in any width.
        bits = torch.arange(5)[:, None] == torch.arange(width)
        centres = 100.0 * torch.arange(5)[:, None] * torch.ones(width) + 50 * bits
        noise = noise.tanh() / width**0.5
    members = centres[labels][:, None] * {"separated": 20.0}.get(kind, 1.0) + noise
    if kind == "duplicates":
        members = members.round()
    if kind == "unit sphere":
        members = members / members.norm(dim=-1, keepdim=True)
    mask = torch.rand(groups, points, generator=generator) < 0.7
    mask[torch.arange(groups), torch.randint(points, (groups,), generator=generator)] = True
    if kind == "singletons":
        mask = torch.arange(points) == torch.randint(points, (groups, 1), generator=generator)
    members[~mask] = 1e3
    weights = torch.rand(groups, points, generator=generator, dtype=torch.float64) ** 4 * mask
    return members, mask, labels, weights / weights.sum(1, keepdim=True)


def uniform(mask):
    return mask.double() / mask.sum(1, keepdim=True)


def distance(one, other):
    return float((one - other).norm())


def members_of(members, mask):
    """The real points of each group, as a list."""
    return [group[real] for group, real in zip(members, mask, strict=True)]


def all_pairs(labels):
    """Every pair of one class."""
    same = (labels[:, None] == labels).triu(1)
    return tuple(same.nonzero(as_tuple=True))


def theorem(members, mask, labels, weights):
    """The looser bounds, of the same weighted means."""
    return bounds.bounds(
        members, mask, labels, weights, torch.einsum("gp,gpw->gw", weights, members)
    )


def half_margin_share(groups, labels):
    """Share of the groups with a partner in their class that T4 certifies; NaN without any."""
    largest = torch.full_like(groups.variance, -torch.inf)
    pairs = all_pairs(labels)
    raise_largest(largest, pairs, tighter_bounds(groups, pairs).t4)
    partnered = labels.bincount()[labels] > 1
    return certified(largest, groups.found.m_star)[partnered].double().mean().item()
