"""What a step of training looks at: points, and the groups they make."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor


class StepPlan(NamedTuple):
    """The points of a step and its groups, class by class, real points before padded places.

    ``rows`` index the points the sampler was made for, ``members`` the places within ``rows``, 0 at
    padded places. Those of an epoch, or of members that step as one, are stacked.
    """

    rows: Int[Tensor, "*stacks batch"]
    members: Int[Tensor, "*stacks groups points"]
    mask: Bool[Tensor, "*stacks groups points"]
    labels: Int[Tensor, "*stacks batch"]
    group_labels: Int[Tensor, "*stacks groups"]

    def steps(self) -> list["StepPlan"]:
        """The plan of each step of an epoch."""
        return list(map(StepPlan._make, zip(*self, strict=True)))

    def on(self, device: torch.device) -> "StepPlan":
        """The same on a device."""
        return StepPlan(*(part.to(device, non_blocking=True) for part in self))
