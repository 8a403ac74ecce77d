"""Judges the models of a trial on the points that its splits hold out."""

from dataclasses import dataclass, replace
from statistics import fmean
from typing import final

import torch
from torch import Tensor

from trainables.certificates import Reference, reference
from trainables.contracts import HullAggregator
from trainables.ensemble import Concatenated
from trainables.evaluation import Evaluation, drawn, evaluate, quality_at
from trainables.exhibit import Exhibit, exhibit
from trainables.input_reading import InputSpace
from trainables.member import TrainingError
from trainables.model import CHUNK, GroupModel
from trainables.splits import Split
from trainables.tasks import EXHIBITED, PREFIXES, Phase, Rules, StudyData

COLLAPSED = 1e-6
HeldOut = tuple[Tensor, Tensor, Tensor | None]
"""Embeddings, labels and natural groups of points."""


@final
@dataclass(frozen=True)
class Judgement:
    """What was found of the models of a trial.

    Args:
        metrics: by full name, means over the models; of an ensemble also ``concatenated/*``, of
            its models as one.
        member_metrics: the same of each model.
        evaluations: of each model.
        exhibit: of a model on the test points; None where it is one of several.
        reference: of a confirmation, points that the model was judged by and the largest margin
            they had at any group size; None where the theorem does not cover the aggregator.
    """

    metrics: dict[str, float]
    member_metrics: list[dict[str, float]]
    evaluations: list[Evaluation]
    exhibit: Exhibit | None
    reference: Reference | None


@final
class Judge:
    """Judges trials of one phase.

    Args:
        study: its data.
        rules: how trials are judged.
        phase: decides which points are held out, and how metrics are called.
    """

    def __init__(self, study: StudyData, rules: Rules, phase: Phase) -> None:
        self.splits: tuple[Split, ...] = study.splits(phase)
        self.quality_name = f"{PREFIXES[phase]}/{rules.quality_name}"
        self._points, self._rules = study.points, rules
        self._phase, self._prefix = phase, PREFIXES[phase]

    def quality(self, models: list[GroupModel]) -> float:
        """The validated quality: mean over the models, one for each split.

        Raises:
            TrainingError: if embeddings are not finite.
        """
        return fmean(
            quality_at(
                self._rules.quality_name,
                *self._held_out(model, split),
                model.aggregator_on_cpu(),
                self._rules.protocol,
            )
            for model, split in zip(models, self.splits, strict=True)
        )

    def judge(self, models: list[GroupModel]) -> Judgement:
        """All metrics of the models, one for each split.

        Raises:
            TrainingError: if embeddings are not finite, or have collapsed.
        """
        parts = list(zip(models, self.splits, strict=True))
        held_out = [self._held_out(*part) for part in parts]
        evaluations = [
            self._evaluated(*part, found) for part, found in zip(parts, held_out, strict=True)
        ]
        member_metrics = [self._named(evaluation) for evaluation in evaluations]
        metrics = {
            name: fmean(of_member[name] for of_member in member_metrics)
            for name in member_metrics[0]
        }
        if self._phase == "ensemble":
            metrics |= self._side_by_side(models, held_out)
        shown = self._shown(*parts[0], held_out[0]) if self._phase in EXHIBITED else None
        known = None
        if self._phase == "confirmation" and isinstance(models[0].aggregator, HullAggregator):
            known = self._reference(held_out[0], evaluations[0])
        return Judgement(metrics, member_metrics, evaluations, shown, known)

    def _shown(self, model: GroupModel, split: Split, held_out: HeldOut) -> Exhibit:
        """What there is to see of a model, in the groups whose quality selects."""
        embeddings, labels, natural_groups = held_out
        _, _, size = self._rules.quality_name.partition(".size")
        protocol = self._rules.protocol
        groups = drawn(labels, natural_groups, protocol, int(size) if size else None)
        return exhibit(embeddings, groups, model.aggregator_on_cpu(), self._points, split.held_out)

    def _reference(self, held_out: HeldOut, evaluation: Evaluation) -> Reference:
        embeddings, labels, _ = held_out
        sizes = self._rules.protocol.sizes
        m_star = max(evaluation.bound[f"m_star.size{size}"] for size in sizes)
        return reference(embeddings, labels, m_star)

    def _side_by_side(self, models: list[GroupModel], held_out: list[HeldOut]) -> dict[str, float]:
        """Quality of the models as one, all of which are judged by the same points."""
        _, labels, groups = held_out[0]
        embeddings = torch.cat([of_model for of_model, _, _ in held_out], dim=1)
        together = Concatenated([model.aggregator_on_cpu() for model in models])
        found = evaluate(embeddings, labels, groups, together, self._rules.protocol)
        return {f"concatenated/{name}": value for name, value in found.quality.items()}

    def _held_out(self, model: GroupModel, split: Split) -> HeldOut:
        """Embeddings, labels and natural groups of the points that a split holds out."""
        points, rows = self._points, split.held_out
        embeddings = model.encode_all(points.chunks(rows, CHUNK)).embedding
        if not bool(embeddings.isfinite().all()):
            raise TrainingError("embeddings are not finite")
        groups = None if points.groups is None else torch.tensor(points.groups[rows])
        return embeddings, torch.tensor(points.labels[rows]), groups

    def _evaluated(self, model: GroupModel, split: Split, held_out: HeldOut) -> Evaluation:
        inputs = self._inputs(model, split)
        found = evaluate(*held_out, model.aggregator_on_cpu(), self._rules.protocol, inputs)
        return replace(found, quality=found.quality | self._group_aware_quality(model, split))

    def _inputs(self, model: GroupModel, split: Split) -> InputSpace | None:
        """The points themselves, where the encoder's stretch of their distances is known.

        All that are held out must fit into memory as float32, even where the points are mapped.
        """
        # Embeddings of length 1 are stretched once more, without a limit near 0.
        lipschitz = model.encoder.lipschitz()
        if lipschitz is None or self._rules.unit_length:
            return None
        return InputSpace(self._points.take(split.held_out), lipschitz)

    def _group_aware_quality(self, model: GroupModel, split: Split) -> dict[str, float]:
        if self._rules.group_aware is None or not model.encoder.tells_groups:
            return {}
        embeddings, logits = model.encode_all(self._points.chunks(split.held_out, CHUNK))
        assert logits is not None
        labels = torch.tensor(self._points.labels[split.held_out])
        return self._rules.group_aware.quality(embeddings, logits, labels)

    def _named(self, evaluation: Evaluation) -> dict[str, float]:
        """Metrics of one model under their full names; refuses collapsed embeddings."""
        for name, value in evaluation.bound.items():
            if name.startswith("scale.") and value < COLLAPSED:
                raise TrainingError(f"collapsed: different classes are {value:.1e} apart")
        quality = {f"{self._prefix}/{name}": value for name, value in evaluation.quality.items()}
        return {**quality, **{f"bound/{name}": value for name, value in evaluation.bound.items()}}
