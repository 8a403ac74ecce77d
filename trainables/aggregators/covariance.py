from typing import Annotated, final

import torch
from annotated_types import Ge, Lt
from jaxtyping import Bool, Float
from torch import Tensor, einsum, nn

from trainables.contracts import Aggregator, Search, SearchAmong

ITERATIONS = 16
"""Each multiplies a small eigenvalue's share of its limit by up to 2.25; the last five square the
error. Enough for float64 where ``rank / shrinkage`` is at most 5000."""


@final
class CovarianceAggregator(Aggregator):
    """Mean and spread of the members: a linear map of the mean and of the covariance's square root.

    ``W [mean_i e_i; upper(S^(1/2))]``, where ``upper`` is the upper triangle with the diagonal and
    ``S = (1 - shrinkage) C + shrinkage (tr(C) + 1) / rank I`` the shrunk covariance ``C = mean_i
    (u_i - u)(u_i - u)^T`` of the members' projections ``u_i = P e_i`` to ``rank`` floats.

    The root is taken by Newton-Schulz iterations after a division by the trace: Li et al. (2018),
    "Towards faster training of global covariance pooling networks by iterative matrix square root
    normalization", section 3. Unlike an eigendecomposition they have a gradient where eigenvalues
    coincide. The paper stops after 5; here they converge. Shrinkage towards the scaled identity is
    that of Ledoit and Wolf (2004), "A well-conditioned estimator for large-dimensional covariance
    matrices", with a given intensity and 1 added to the trace, so that a group of one point, whose
    ``C`` is 0, has a regular ``S``. Embeddings of length 1 have ``tr(C) <= 1`` before training.

    Args:
        width: floats per embedding, unchanged.
        rank: floats of the space in which the covariance is taken.
        shrinkage: share of the identity, in [0.01, 1); small values trust the members' covariance.
    """

    outside_hull = "the spread of the members is mixed into their mean"
    shrinkage: Tensor

    def __init__(
        self,
        width: int,
        *,
        rank: Annotated[int, Ge(1), SearchAmong(4, 8, 16)] = 8,
        shrinkage: Annotated[float, Ge(0.01), Lt(1), Search(0.05, 0.5, log=True)] = 0.1,
    ) -> None:
        super().__init__(width)
        # Without a bias: a covariance does not see a shift.
        self.projection = nn.Linear(width, rank, bias=False)
        nn.init.orthogonal_(self.projection.weight)
        self.register_buffer("shrinkage", torch.tensor(shrinkage))
        # Without a bias: it would shift all groups alike, which their distances do not see.
        self.last = nn.Linear(width + rank * (rank + 1) // 2, width, bias=False)

    def forward(
        self, embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups width"]:
        share = mask.to(embeddings.dtype) / mask.sum(1, keepdim=True)
        # A share of 0 would not stop a filling that overflows in the projection.
        real = embeddings.masked_fill(~mask[:, :, None], 0)
        mean = einsum("gp,gpw->gw", share, real)
        centred = self.projection(real - mean[:, None])
        root = _square_root(self._shrunk(einsum("gp,gpr,gps->grs", share, centred, centred)))
        rows, columns = torch.triu_indices(*root.shape[1:], device=root.device)
        result: Tensor = self.last(torch.cat([mean, root[:, rows, columns]], 1))
        return result

    def _shrunk(
        self, covariance: Float[Tensor, "groups rank rank"]
    ) -> Float[Tensor, "groups rank rank"]:
        rank = covariance.shape[1]
        target = (_trace(covariance) + 1) / rank * torch.eye(rank).to(covariance)
        return (1 - self.shrinkage) * covariance + self.shrinkage * target


def _square_root(matrix: Float[Tensor, "groups rank rank"]) -> Float[Tensor, "groups rank rank"]:
    """Of symmetric matrices with positive eigenvalues."""
    identity = torch.eye(matrix.shape[1]).to(matrix)
    # Eigenvalues in (0, 1], where the iterations converge.
    trace = _trace(matrix)
    root, inverse = matrix / trace, identity.expand_as(matrix)
    for _ in range(ITERATIONS):
        correction = (3 * identity - inverse @ root) / 2
        root, inverse = root @ correction, correction @ inverse
    return root * trace.sqrt()


def _trace(matrix: Float[Tensor, "groups rank rank"]) -> Float[Tensor, "groups 1 1"]:
    return matrix.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
