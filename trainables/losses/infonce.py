from typing import Annotated, Any, Literal, final

import torch
from annotated_types import Gt
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import normalize, softplus

from trainables.contracts import LabelledEmbeddings, Level, Loss, Need, Search, SearchAmong

Positives = Literal["labels", "views"]
Contrast = Literal["negatives", "others", "keys", "keys_one_way"]


@final
class InfonceLoss(Loss):
    """Cross-entropy of picking a positive among negatives by cosine similarity ``s``.

    van den Oord, Li and Vinyals (2018), eq. 4. What the exponential of a positive,
    ``exp(s_ij / temperature)``, is contrasted with:

    - ``negatives``: itself and all negatives of the anchor, the mean over ordered positive pairs
      (with two views the NT-Xent of Chen et al. 2020, eq. 1);
    - ``others``: all rows but the anchor, other positives included, the mean over the positives of
      an anchor and then over anchors (Khosla et al. 2020, eq. 2);
    - ``keys``: the second views, each first view picking its own among them and each second view
      among the first (Radford et al. 2021, figure 3);
    - ``keys_one_way``: the second views, each first view picking its own among them (He et al.
      2020, eq. 1, with the other second views as negatives).

    Anchors without a positive are left out.

    Args:
        level: which embeddings are compared; ``both`` takes the mean of the two losses.
        temperature: divides the similarities.
        positives: rows of one class (``labels``), or the two views of a row (``views``).
        contrast: what a positive is compared with; ``keys`` and ``keys_one_way`` need views.
    """

    temperature: Tensor

    def __init__(
        self,
        *,
        level: Annotated[Level, SearchAmong("groups", "both")] = "groups",
        temperature: Annotated[float, Gt(0), Search(0.03, 0.5, log=True)] = 0.1,
        positives: Positives = "labels",
        contrast: Contrast = "negatives",
    ) -> None:
        super().__init__(level)
        self.positives: Positives = positives
        self.contrast: Contrast = contrast
        self.register_buffer("temperature", torch.tensor(temperature, dtype=torch.float64))

    @classmethod
    def needs(cls, options: dict[str, Any]) -> frozenset[Need]:
        return frozenset(["views" if options.get("positives") == "views" else "positives"])

    @classmethod
    def check(cls, *, positives: Positives, contrast: Contrast, **others: Any) -> list[str]:
        """Rules across options."""
        if contrast in ("keys", "keys_one_way") and positives != "views":
            return ["contrast: keys are second views; use positives: views, or another contrast"]
        return []

    def compare(self, rows: LabelledEmbeddings) -> Float[Tensor, ""]:
        if self.positives == "labels":
            return self._contrasted(rows.embeddings, rows.labels)
        assert rows.second is not None
        if self.contrast in ("keys", "keys_one_way"):
            return self._picked(rows.embeddings, rows.second)
        places = torch.arange(len(rows.labels), device=rows.labels.device)
        return self._contrasted(torch.cat([rows.embeddings, rows.second]), places.repeat(2))

    def _contrasted(
        self, embeddings: Float[Tensor, "rows width"], labels: Int[Tensor, " rows"]
    ) -> Float[Tensor, ""]:
        unit = normalize(embeddings, dim=1)
        similar = unit @ unit.T / self.temperature
        same = labels[:, None] == labels
        other = ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        positive = same & other
        if self.contrast == "negatives":
            surprise = softplus(_log_sum(similar, ~same) - similar)
            return (surprise * positive).sum() / positive.sum().clamp_min(1)
        surprise = _log_sum(similar, other) - similar
        count = positive.sum(1)
        of_anchors = (surprise * positive).sum(1) / count.clamp_min(1)
        return of_anchors.sum() / (count > 0).sum().clamp_min(1)

    def _picked(
        self, first: Float[Tensor, "rows width"], second: Float[Tensor, "rows width"]
    ) -> Float[Tensor, ""]:
        similar = normalize(first, dim=1) @ normalize(second, dim=1).T / self.temperature
        total = similar.logsumexp(1)
        if self.contrast == "keys":
            total = (total + similar.logsumexp(0)) / 2
        return (total - similar.diagonal()).mean()


def _log_sum(
    similar: Float[Tensor, "rows rows"], among: Bool[Tensor, "rows rows"]
) -> Float[Tensor, "rows 1"]:
    # Not minus infinity: a row without any of these would have no gradient but NaN.
    lowest = torch.finfo(similar.dtype).min / 4
    return similar.masked_fill(~among, lowest).logsumexp(1, keepdim=True)
