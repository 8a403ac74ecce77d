from typing import Annotated, Any, Literal, final

import torch
from annotated_types import Ge, Gt
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from trainables.contracts import LabelledEmbeddings, Level, Loss, Need, Search, SearchAmong

Prior = Literal["all", "batch"]
SMALLEST_SHARE = 1e-12
"""Added to shares before their logarithm."""


@final
class GroupLossLoss(Loss):
    """Cross-entropy of class shares that similar rows have talked each other into.

    Elezi, Vascon, Torcinovich, Pelillo and Leal-Taixe (2020), "The Group Loss for deep metric
    learning", sections 3.2 to 3.4. ``W_ij = max(0, r_ij)`` with Pearson's correlation ``r`` of two
    embeddings; rows of ``X`` are shares of the classes, at first ``softmax(logits / temperature)``
    of a linear classifier, and the true class alone for anchors. Each step replaces

        ``X_ik <- X_ik (W X)_ik / sum_l X_il (W X)_il``,

    which never lowers the consistency ``sum_ik X_ik (W X)_ik``. The loss is ``scaling`` times the
    mean of ``-log X_iy`` over all rows, anchors included.

    A row whose values are all equal has similarity 0 to every row, itself included, and a row
    without support (``sum_l X_il (W X)_il = 0``) keeps its shares. A class never has all of its
    rows as anchors, since these cost nothing and teach nothing: its last row is always open, and
    a class of one row has no anchor.

    Args:
        width: floats per embedding.
        classes: what the classifier tells apart.
        level: which embeddings are compared; ``both`` takes the mean of the two losses, with one
            classifier.
        steps: replacements of all shares.
        temperature: divides the logits of the prior.
        anchors: of each class, the first rows in the order of the batch; at most all but one.
        prior: whether shares go to ``all`` classes or to those of the ``batch`` only.
        zero_diagonal: whether a row has no say in its own shares; the released code lets it speak.
        scaling: weight of the cross-entropy of the shares.
        cross_entropy_weight: weight of the cross-entropy of the logits themselves, at temperature
            1; the released code has 1, the paper 0.
    """

    temperature: Tensor
    scaling: Tensor
    cross_entropy_weight: Tensor

    def __init__(
        self,
        width: int,
        classes: int,
        *,
        level: Annotated[Level, SearchAmong("groups", "both")] = "groups",
        steps: Annotated[int, Ge(1), SearchAmong(1, 2, 3, 5)] = 1,
        temperature: Annotated[float, Gt(0), Search(5.0, 100.0, log=True)] = 10.0,
        anchors: Annotated[int, Ge(0), SearchAmong(0, 1, 2)] = 1,
        prior: Prior = "all",
        zero_diagonal: bool = False,
        scaling: Annotated[float, Gt(0)] = 1.0,
        cross_entropy_weight: Annotated[float, Ge(0), SearchAmong(0.0, 1.0)] = 1.0,
    ) -> None:
        super().__init__(level)
        self.classifier = nn.Linear(width, classes)
        self.steps = steps
        self.anchors = anchors
        self.prior: Prior = prior
        self.zero_diagonal = zero_diagonal
        for name, value in {
            "temperature": temperature,
            "scaling": scaling,
            "cross_entropy_weight": cross_entropy_weight,
        }.items():
            self.register_buffer(name, torch.tensor(value, dtype=torch.float64))

    @classmethod
    def needs(cls, options: dict[str, Any]) -> frozenset[Need]:
        return frozenset(["positives"])

    def compare(self, rows: LabelledEmbeddings) -> Float[Tensor, ""]:
        return self.classified(rows.embeddings, self.classifier(rows.embeddings), rows.labels)

    def classified(
        self,
        embeddings: Float[Tensor, "rows width"],
        logits: Float[Tensor, "rows classes"],
        labels: Int[Tensor, " rows"],
    ) -> Float[Tensor, ""]:
        """The loss of embeddings whose logits are given."""
        true = labels[:, None] == torch.arange(logits.shape[1], device=labels.device)
        among = true.any(0) if self.prior == "batch" else torch.ones_like(true[0])
        shares = prior_shares(
            logits / self.temperature, true, _anchored(labels, self.anchors), among
        )
        similar = similarities(embeddings, self.zero_diagonal)
        for _ in range(self.steps):
            shares = replicated(similar, shares)
        of_shares = -((shares * true).sum(1) + SMALLEST_SHARE).log()
        of_logits = -(logits.log_softmax(1) * true).sum(1)
        # Weighted before the mean: double precision weights would make a scalar double as well.
        weighted: Tensor = self.scaling * of_shares + self.cross_entropy_weight * of_logits
        return weighted.mean()


def similarities(
    embeddings: Float[Tensor, "rows width"], zero_diagonal: bool
) -> Float[Tensor, "rows rows"]:
    """Pearson's correlation of every two rows where it is positive, 0 elsewhere."""
    centred = embeddings - embeddings.mean(1, keepdim=True)
    length = torch.linalg.vector_norm(centred, dim=1, keepdim=True)
    # The mean of equal values is not always that value: what is left of them has a direction.
    rounding = torch.finfo(embeddings.dtype).eps * embeddings.shape[1]
    constant = length <= rounding * embeddings.abs().amax(1, keepdim=True)
    unit = (centred / length.masked_fill(constant, 1)).masked_fill(constant, 0)
    similar: Tensor = (unit @ unit.T).relu()
    if not zero_diagonal:
        return similar
    return similar.masked_fill(torch.eye(len(unit), dtype=torch.bool, device=unit.device), 0)


def prior_shares(
    logits: Float[Tensor, "rows classes"],
    true: Bool[Tensor, "rows classes"],
    anchored: Bool[Tensor, " rows"],
    among: Bool[Tensor, " classes"],
) -> Float[Tensor, "rows classes"]:
    """Softmax over the classes ``among`` which shares are given; anchors have their true class."""
    shares = logits.masked_fill(~among, -torch.inf).softmax(1)
    return torch.where(anchored[:, None], true.to(shares.dtype), shares)


def replicated(
    similar: Float[Tensor, "rows rows"], shares: Float[Tensor, "rows classes"]
) -> Float[Tensor, "rows classes"]:
    """One replicator step of all rows at once."""
    supported = shares * (similar @ shares)
    total = supported.sum(1, keepdim=True)
    # Not 0: the gradient of the quotient overflows long before the quotient does.
    alone = total <= torch.finfo(shares.dtype).eps ** 2
    return torch.where(alone, shares, supported / total.masked_fill(alone, 1))


def _anchored(labels: Int[Tensor, " rows"], anchors: int) -> Bool[Tensor, " rows"]:
    """Which rows are anchors: the first of their class, but never all of them."""
    same = labels[:, None] == labels
    before = same.tril(-1).sum(1)
    return (before < anchors) & (before < same.sum(1) - 1)
