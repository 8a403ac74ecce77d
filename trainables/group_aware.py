"""Points compared by their embeddings and by what an encoder says of their latent groups."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from trainables.distances import exact_distances
from trainables.retrieval import retrieval
from trainables.verification import verification


@final
@dataclass(frozen=True)
class GroupAware:
    """The group-aware similarity of Kim et al. (2020), "GroupFace", section 3.4.

    ``s = cos(x, y) - weight |u_x - u_y| ** exponent``, with ``u`` the logits of the latent groups;
    the paper leaves the distance open, here it is Euclidean.

    Args:
        weight: of the distance between logits, beta, at least 0; 0 leaves the cosine.
        exponent: of that distance, gamma, above 0.
    """

    weight: float = 0.1
    exponent: float = 1 / 3

    def similarity(
        self,
        embeddings: Float[Tensor, "rows width"],
        logits: Float[Tensor, "rows latent"],
    ) -> Float[Tensor, "rows rows"]:
        """Of every row to every row, at most 1."""
        rows = torch.cat([normalize(embeddings, dim=1), logits], 1)
        return 1 - self._apart(rows, rows, embeddings.shape[1])

    def quality(
        self,
        embeddings: Float[Tensor, "rows width"],
        logits: Float[Tensor, "rows latent"],
        labels: Int[Tensor, " rows"],
    ) -> dict[str, float]:
        """Retrieval and verification of single points by this similarity, in chunks.

        Args:
            embeddings: of the points, of any length.
            logits: of the points' latent groups.
            labels: class index of each point; points alone in their class are left out.

        Returns:
            the metrics of :class:`Retrieval` and :class:`Verification`, as
            ``group_aware_auc.points``.
        """

        def apart(
            rows: Float[Tensor, "rows both"], columns: Float[Tensor, "columns both"]
        ) -> Float[Tensor, "rows columns"]:
            return self._apart(rows, columns, embeddings.shape[1])

        _, labels, counts = labels.unique(return_inverse=True, return_counts=True)
        kept = counts[labels] > 1
        both = torch.cat([normalize(embeddings.double(), dim=1), logits.double()], 1)[kept]
        found = {
            **retrieval(both, labels[kept], apart)._asdict(),
            **verification(both, labels[kept], distance=apart)._asdict(),
        }
        return {f"group_aware_{name}.points": value for name, value in found.items()}

    def _apart(
        self,
        rows: Float[Tensor, "rows both"],
        columns: Float[Tensor, "columns both"],
        width: int,
    ) -> Float[Tensor, "rows columns"]:
        """1 less the similarity of rows that hold an embedding of length 1, then logits."""
        # From differences: rounding errors near 0 are what a small exponent enlarges.
        chords = exact_distances(rows[:, :width], columns[:, :width])
        of_logits = exact_distances(rows[:, width:], columns[:, width:])
        return chords.square() / 2 + self.weight * of_logits**self.exponent
