"""What encoders, aggregators, losses and views promise, and the values that pass between them.

Axis names, here and everywhere: ``batch`` counts the flat points of a step, ``groups`` its groups,
``points`` the padded places of a group, ``rows`` either points or groups, ``width`` the floats of
an embedding, ``latent`` latent groups of an encoder head.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, final

from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor, einsum, nn

Level = Literal["points", "groups", "both"]
Need = Literal["positives", "views", "teacher", "group_logits"]


@final
@dataclass(frozen=True)
class Search:
    """Suggested search range of a numeric option, inclusive at both ends.

    Args:
        low: smallest value, in the option's unit.
        high: largest value, in the option's unit.
        log: whether values are drawn uniformly in the logarithm.
    """

    low: float
    high: float
    log: bool = False


@final
class SearchAmong:
    """Suggested choices of an option that is searched over a list of values.

    Args:
        choices: the values to search, each legal for the option.
    """

    def __init__(self, *choices: Any) -> None:
        self.choices = choices


class EncoderOutput(NamedTuple):
    """What an encoder makes of points; ``group_logits`` only from heads that have them."""

    embedding: Float[Tensor, "batch width"]
    group_logits: Float[Tensor, "batch latent"] | None = None


class LabelledEmbeddings(NamedTuple):
    """Embeddings of points or of groups with their class indices, and their second view if any.

    Class indices count the classes of the training part from 0. The second view is encoded by the
    momentum teacher where the loss needs one, and has no gradient then. Of a training step rows lie
    class by class, ``class_size`` of each; None says nothing of their order.
    """

    embeddings: Float[Tensor, "rows width"]
    labels: Int[Tensor, " rows"]
    second: Float[Tensor, "rows width"] | None = None
    class_size: int | None = None


class EncodedStep(NamedTuple):
    """One training step after encoding and aggregation: all that a loss may look at.

    ``members`` and ``mask`` say which point stands at which place of which group.
    """

    points: LabelledEmbeddings
    groups: LabelledEmbeddings
    members: Int[Tensor, "groups points"]
    mask: Bool[Tensor, "groups points"]
    group_logits: Float[Tensor, "batch latent"] | None = None

    def at(self, level: Level) -> tuple[LabelledEmbeddings, ...]:
        """The embeddings that a loss of this level compares; points before groups."""
        both = (self.points, self.groups)
        return {"points": both[:1], "groups": both[1:], "both": both}[level]


def no_image(name: str, shape: tuple[int, ...], smallest: int, instead: str) -> str | None:
    """Why points of this shape are no images that a component can take, or None where they are.

    Args:
        name: of the component.
        shape: of a point.
        smallest: height and width of the smallest image it takes.
        instead: names of components that would do.
    """
    if len(shape) == 3 and min(shape[1:]) >= smallest:
        return None
    return (
        f"{name} needs images{f' of at least {smallest} x {smallest}' if smallest > 1 else ''}, "
        f"got points of shape {' x '.join(map(str, shape))}; use {instead}"
    )


class Encoder(nn.Module, ABC):
    """Turns each point into an embedding of ``width`` floats.

    Args:
        shape: shape of one point: ``(features,)`` or ``(channels, height, width)``.
        width: floats per embedding.
    """

    tensor_program: ClassVar[bool] = True
    tells_groups: ClassVar[bool] = False
    """Whether it gives ``group_logits``."""
    is_chain: ClassVar[bool] = False
    """Whether it is its layers, each once and in order, with at most ReLU and dropout between."""
    certifies: ClassVar[bool] = False
    """Whether ``lipschitz`` is known whatever the weights; length 1 would undo it."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Distributions, besides torch, that an exported model of it needs."""
    latent: int = 0
    """Latent groups of the logits."""

    def __init__(self, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.shape = shape
        self.width = width

    @classmethod
    def unfit(cls, shape: tuple[int, ...]) -> str | None:
        """Why points of this shape cannot be encoded, or None where they can."""
        return None

    def lipschitz(self) -> float | None:
        """A constant L with ``|f(x) - f(y)| <= L |x - y|`` in evaluation, None where none is known.

        Both distances are Euclidean, that of points over all their numbers.
        """
        return None

    @abstractmethod
    def forward(self, points: Float[Tensor, "batch *shape"]) -> EncoderOutput:
        """Encodes a batch of points."""


class Aggregator(nn.Module, ABC):
    """Turns the embeddings of each group into one group embedding.

    Padded places hold arbitrary finite values and must not influence the result; every group has at
    least one real point; the order of a group's points must not matter, except to which of several
    with an equal claim an aggregator takes.

    Args:
        width: floats per embedding.
    """

    tensor_program: ClassVar[bool] = True
    outside_hull: ClassVar[str | None]
    """Why a group embedding may leave the convex hull of its members; None where it cannot."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    @abstractmethod
    def forward(
        self, embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups width"]:
        """Aggregates every group; ``mask`` is True at real points."""


class HullAggregator(Aggregator):
    """An aggregator whose result is a convex combination of the members: the theorem covers it."""

    outside_hull = None

    @abstractmethod
    def weights(
        self, embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups points"]:
        """Weight of each member: non-negative, sum 1 over a group, 0 at padded places."""

    def forward(
        self, embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups width"]:
        return einsum("gp,gpw->gw", self.weights(embeddings, mask), embeddings)


class Loss(nn.Module, ABC):
    """Trains encoder and aggregator: an encoded step becomes a scalar to minimise.

    A step without a single comparison (no positives, no negatives) gives 0 with a zero gradient,
    unless the loss compares rows with classes or groups that it knows.

    A constructor may ask for wiring by name, before its options: ``width``, floats per embedding,
    ``classes``, how many the training part has, and ``latent``, the latent groups of the encoder.

    Args:
        level: which embeddings are compared; ``both`` takes the mean of the two losses.
    """

    tensor_program: ClassVar[bool] = True
    teacher_momentum: Tensor
    """Share of its parameters that a teacher keeps in a step; of losses that need one."""

    def __init__(self, level: Level) -> None:
        super().__init__()
        self.level: Level = level

    @classmethod
    def needs(cls, options: dict[str, Any]) -> frozenset[Need]:
        """What the platform must supply for these option values, besides embeddings and labels."""
        return frozenset()

    def forward(self, step: EncodedStep) -> Float[Tensor, ""]:
        """Mean over the compared levels of :meth:`compare`."""
        losses = [self.compare(rows) for rows in step.at(self.level)]
        return sum(losses[1:], losses[0]) / len(losses)

    @abstractmethod
    def compare(self, rows: LabelledEmbeddings) -> Float[Tensor, ""]:
        """The loss of one set of labelled embeddings, of points or of groups."""

    def epoch_end(self) -> bool:
        """Host work between epochs; returns whether the teacher becomes a copy of the model."""
        return False


class Views(nn.Module, ABC):
    """Changes points at random in a way that keeps their class.

    Args:
        shape: shape of one point.
    """

    tensor_program: ClassVar[bool] = True

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    @classmethod
    def unfit(cls, shape: tuple[int, ...]) -> str | None:
        """Why points of this shape cannot be changed so, or None where they can."""
        return None

    @abstractmethod
    def forward(
        self, points: Float[Tensor, "batch *shape"], generator: Generator
    ) -> Float[Tensor, "batch *shape"]:
        """A new random view of every point, drawn from ``generator``."""
