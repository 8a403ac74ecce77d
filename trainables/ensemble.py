"""Several models as one: their embeddings side by side, each aggregated by its own aggregator.

Musgrave, Belongie and Lim, "A Metric Learning Reality Check" (2020), read the models of their folds
on the test classes in this way.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from trainables.configuration import Configuration
from trainables.contracts import Aggregator
from trainables.model import GroupModel


@final
class Concatenated(Aggregator):
    """Group embeddings of several models, side by side.

    Args:
        aggregators: one for each share of an embedding, in order.
    """

    outside_hull = "each model weights the members in its own way"

    def __init__(self, aggregators: Sequence[Aggregator]) -> None:
        super().__init__(sum(aggregator.width for aggregator in aggregators))
        self.aggregators = nn.ModuleList(aggregators)

    def forward(
        self, embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups width"]:
        shares = embeddings.split([aggregator.width for aggregator in self.aggregators], dim=2)
        results = [a(share, mask) for a, share in zip(self.aggregators, shares, strict=True)]
        return torch.cat(results, dim=1)


def models_of(
    configuration: Configuration,
    shape: tuple[int, ...],
    unit_length: bool,
    weights: Mapping[str, Tensor],
) -> list[GroupModel]:
    """The trained models of a trial.

    Args:
        configuration: of the trial.
        shape: of one point.
        unit_length: whether point embeddings have length 1.
        weights: by ``<member>.<parameter>``.
    """
    of_member: dict[int, dict[str, Tensor]] = defaultdict(dict)
    for name, tensor in weights.items():
        member, _, parameter = name.partition(".")
        of_member[int(member)][parameter] = tensor
    models = []
    for number in sorted(of_member):
        model = GroupModel(configuration, shape, unit_length)
        model.load_state_dict(of_member[number])
        models.append(model)
    return models
