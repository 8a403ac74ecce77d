"""A configuration: one component per slot with a value for every option, and how to train it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, final

from annotated_types import Ge, Gt

from trainables.contracts import Search

Precision = Literal["float32", "bfloat16"]
BATCH = ("classes_per_batch", "groups_per_class", "group_size", "group_size_spread")


@final
@dataclass(frozen=True)
class Component:
    """A component by the name of its file, with the values of its options."""

    name: str
    options: Mapping[str, Any]


@final
@dataclass(frozen=True, kw_only=True)
class Training:
    """How encoder, aggregator and loss are trained together.

    A step takes ``classes_per_batch * groups_per_class * group_size`` points; sizes of groups vary
    in pairs, one as much larger as the other is smaller, so that this number is constant.

    Args:
        epochs: passes over as many points as the training part has.
        learning_rate: step size of AdamW.
        weight_decay: decoupled weight decay of AdamW.
        classes_per_batch: distinct classes in a step.
        groups_per_class: disjoint groups of each of these classes.
        group_size: points of a group, on average.
        group_size_spread: largest departure of a group from ``group_size``, in points.
        group_views: second view of a group, for losses that compare views: the group augmented
            anew, or another group of its class.
        precision: of the encoder's products while it trains; ``bfloat16`` halves their digits and
            is several times faster on GPUs that have it. Weights, embeddings, aggregator and loss
            are float32 with both, and so is all that is measured.
    """

    epochs: Annotated[int, Ge(1)] = 20
    learning_rate: Annotated[float, Gt(0), Search(1e-4, 1e-2, log=True)] = 1e-3
    weight_decay: Annotated[float, Ge(0)] = 1e-4
    classes_per_batch: Annotated[int, Ge(2)] = 8
    groups_per_class: Annotated[int, Ge(1)] = 2
    group_size: Annotated[int, Ge(1)] = 4
    group_size_spread: Annotated[int, Ge(0)] = 0
    group_views: Literal["augmented", "disjoint"] = "augmented"
    precision: Precision = "float32"

    @property
    def batch(self) -> dict[str, int]:
        """The options that shape a step, as the sampler takes them."""
        return {name: getattr(self, name) for name in BATCH}


@final
@dataclass(frozen=True)
class Configuration:
    """A combination with a value for every hyperparameter; views only where the loss needs them."""

    encoder: Component
    aggregator: Component
    loss: Component
    views: Component | None
    training: Training

    @classmethod
    def from_nested(cls, nested: Mapping[str, Any]) -> "Configuration":
        """Reads the form of :meth:`nested`, as configuration files hold it."""

        def component(slot: str) -> Component:
            ((name, options),) = nested[slot].items()
            return Component(name, options or {})

        return cls(
            component("encoder"),
            component("aggregator"),
            component("loss"),
            component("views") if nested.get("views") else None,
            Training(**nested["training"]),
        )

    def nested(self) -> dict[str, Any]:
        """``{slot: {component: {option: value}}, training: {option: value}}``, ready for YAML."""
        slots = {"encoder": self.encoder, "aggregator": self.aggregator, "loss": self.loss}
        if self.views:
            slots["views"] = self.views
        named = {slot: {part.name: dict(part.options)} for slot, part in slots.items()}
        return {**named, "training": asdict(self.training)}

    def flat(self) -> dict[str, Any]:
        """Values by flat name, as ``loss.triplet.margin`` and ``training.epochs``."""
        nested = self.nested()
        training = nested.pop("training")
        flat = {
            f"{slot}.{name}.{option}": value
            for slot, component in nested.items()
            for name, options in component.items()
            for option, value in options.items()
        }
        return {**flat, **{f"training.{option}": value for option, value in training.items()}}
