"""A model as a program of ``torch.export``, which runs without any of our code."""

from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from trainables.model import GroupModel

GROUPS, POINTS = 3, 5
"""Sizes that a program is traced with; any others do as well."""
OTHERS = ((1, 1), (4, 2), (2, 7))
"""Sizes that a program is tried with."""
TOLERANCE = 1e-5


class ProgramError(RuntimeError):
    """A model that cannot be exported; the message says why in one line."""


def program(model: GroupModel, shape: tuple[int, ...]) -> ExportedProgram:
    """``(points [groups, points, *shape], mask [groups, points]) -> [groups, width]``.

    Numbers of groups and of points are free, from 1. Every group needs a real point; padded places
    may hold anything, NaN included. The program is tried at sizes that it was not traced with.

    Args:
        model: is put into evaluation mode.
        shape: of one point.

    Raises:
        ProgramError: if a component decides in Python what only the numbers of a request tell, or
            the program's results are not those of the model.
    """
    padded = _Padded(model).eval()
    free = {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}
    with torch.no_grad():
        try:
            traced = torch.export.export(
                padded, _sample(GROUPS, POINTS, shape), dynamic_shapes=(free, free)
            )
            told = _difference(traced, model, shape)
        except Exception as error:  # of torch's many ways to refuse a program
            first = next(iter(str(error).strip().splitlines()), "")
            raise ProgramError(f"{type(error).__name__}: {first}") from error
    if told:
        raise ProgramError(told)
    return traced


@final
class _Padded(nn.Module):
    """A model that encodes padded places too, as 0: which are real is no matter of shapes."""

    def __init__(self, model: GroupModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, points: Float[Tensor, "groups points *shape"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups width"]:
        of_points = mask.reshape(mask.shape + (1,) * (points.dim() - 2))
        shown = torch.where(of_points, points, 0.0)
        members = self.model.embed(shown.flatten(0, 1)).embedding.unflatten(0, mask.shape)
        embeddings: Tensor = self.model.aggregator(members, mask)
        return embeddings


def _difference(traced: ExportedProgram, model: GroupModel, shape: tuple[int, ...]) -> str | None:
    """How program and model differ at other sizes, or None where they agree."""
    run = traced.module()
    for sizes in OTHERS:
        points, mask = _sample(*sizes, shape)
        expected, found = model(points, mask), run(points, mask)
        apart = float((found - expected).abs().max() / expected.abs().max().clamp_min(1))
        if not apart <= TOLERANCE:
            return f"differs from the model by {apart:.1e} for {sizes[0]} x {sizes[1]} points"
    return None


def _sample(groups: int, points: int, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Random groups; the last places of some are padded."""
    generator = torch.Generator().manual_seed(groups * points)
    content = torch.rand(groups, points, *shape, generator=generator)
    sizes = torch.arange(groups) % points + 1
    return content, torch.arange(points) < sizes.flip(0)[:, None]
