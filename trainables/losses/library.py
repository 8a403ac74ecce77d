"""Losses and miners of pytorch-metric-learning by their own names, through one adapter.

``library-CircleLoss`` is a loss of the library, ``library-TripletMarginLoss-MultiSimilarityMiner``
one whose pairs or triplets a miner chooses. Options are those of their constructors, a miner's with
``miner_`` before its name; Musgrave, Belongie and Lim (2020), "PyTorch Metric Learning".
"""

import inspect
from types import ModuleType
from typing import Annotated, Any, Literal, final

from jaxtyping import Float
from pytorch_metric_learning import losses, miners
from torch import Tensor, nn

from trainables.contracts import LabelledEmbeddings, Level, Loss, Need, SearchAmong

WIRED = {
    "num_classes": "classes",
    "embedding_size": "width",
    "descriptors_dim": "width",
    "l": "width",
}
"""Arguments that the platform fills."""
REQUIRED = {("RankedListLoss", "margin"): 0.4, ("RankedListLoss", "Tn"): 5.0}
"""Defaults where the library has none: Wang et al. (2019), "Ranked list loss", section 4, with the
largest temperature the library does not warn of."""
INTEGERS = {"num_bins", "pos_per_bin", "neg_per_bin", "centers_per_class", "sub_centers", "K", "b"}
FIXED = {("BatchHardMiner", "pos_strategy"), ("BatchHardMiner", "neg_strategy")}
"""Arguments of an ancestor that a miner sets itself."""
IDLE = {"weight_reg_weight"}
"""Arguments without effect, since what they weigh is no option."""
LEVEL = Annotated[Level, SearchAmong("groups", "both")]
STRATEGY = Literal["easy", "semihard", "hard", "all"]
TEXTS: dict[str, Any] = {
    "pos_strategy": STRATEGY,
    "neg_strategy": STRATEGY,
    "type_of_triplets": STRATEGY,
    "variant": Literal["Ds", "Dq", "Iu", "Ib", "O"],
}
REFUSED = {
    "BaseLossWrapper": "is no loss by itself",
    "BaseMetricLossFunction": "is no loss by itself",
    "BaseMiner": "is no miner by itself",
    "CrossBatchMemory": "wraps a loss",
    "EmbeddingsAlreadyPackagedAsTriplets": "needs batches in its own order",
    "GenericPairLoss": "is no loss by itself",
    "ManifoldLoss": "takes no labels",
    "MultipleLosses": "is several losses",
    "SelfSupervisedLoss": "wraps a loss",
    "ThresholdConsistentMarginLoss": "is a regulariser of another loss",
    "VICRegLoss": "compares two views without labels",
}
"""What is not offered, and why."""


@final
class LibraryLoss(Loss):
    """A loss of the library as ours.

    Args:
        loss: called with embeddings, labels, and what the miner chose.
        miner: chooses pairs or triplets, or None.
        level: which embeddings are compared; ``both`` takes the mean of the two losses.
    """

    tensor_program = False

    def __init__(self, loss: nn.Module, miner: nn.Module | None, level: Level) -> None:
        super().__init__(level)
        self.loss, self.miner = loss, miner

    def compare(self, rows: LabelledEmbeddings) -> Float[Tensor, ""]:
        chosen = None if self.miner is None else self.miner(rows.embeddings, rows.labels)
        value: Tensor = self.loss(rows.embeddings, rows.labels, chosen)
        return value


@final
class LibraryComponent:
    """A loss of the library with a miner or without, to be built as the platform builds losses.

    Args:
        loss: name of its class.
        miner: name of its class, or empty.
    """

    def __init__(self, loss: str, miner: str) -> None:
        self._loss, self._miner = getattr(losses, loss), getattr(miners, miner, None)
        of_miner = _arguments(self._miner) if self._miner else []
        own = [_option(loss, argument) for argument in _arguments(self._loss)]
        mined = [_option(miner, argument) for argument in of_miner]
        prefixed = [option.replace(name=f"miner_{option.name}") for option in mined if option]
        level = inspect.Parameter(
            "level", inspect.Parameter.KEYWORD_ONLY, default="groups", annotation=LEVEL
        )
        wiring = [
            inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
            for name in ("width", "classes")
        ]
        options = [option for option in own if option] + prefixed
        self.__signature__ = inspect.Signature([*wiring, level, *options])
        names = f"{loss} with {miner}" if miner else loss
        self.__doc__ = f"{names} of pytorch-metric-learning.\n\nArgs:\n" + "\n".join(
            f"    {option.name}: as that library has it." for option in (*wiring, level, *options)
        )

    def __call__(self, width: int, classes: int, *, level: Level, **options: Any) -> LibraryLoss:
        known = {"width": width, "classes": classes}
        wired = {
            argument.name: known[WIRED[argument.name]]
            for argument in _arguments(self._loss)
            if argument.name in WIRED
        }
        mined = {n.removeprefix("miner_"): v for n, v in options.items() if n.startswith("miner_")}
        own = {name: value for name, value in options.items() if not name.startswith("miner_")}
        miner = self._miner(**mined) if self._miner else None
        return LibraryLoss(self._loss(**wired, **own), miner, level)

    def needs(self, options: dict[str, Any]) -> frozenset[Need]:
        """Positives: every loss of the library compares rows of one class, or could."""
        return frozenset(["positives"])


def offered() -> list[str]:
    """Names of the losses, sorted, and after them those of the miners."""
    return [*_classes(losses), *_classes(miners)]


def component(name: str) -> LibraryComponent | None:
    """The component of a name such as ``TripletMarginLoss-HDCMiner``, or None without one."""
    loss, _, miner = name.partition("-")
    if loss not in _classes(losses) or (miner and miner not in _classes(miners)):
        return None
    return LibraryComponent(loss, miner)


def _classes(module: ModuleType) -> list[str]:
    return sorted(
        name
        for name, value in vars(module).items()
        if inspect.isclass(value) and name.endswith(("Loss", "Miner")) and name not in REFUSED
    )


def _arguments(component: type) -> list[inspect.Parameter]:
    """Arguments of a constructor and of those it hands the others on to, each once."""
    found: dict[str, inspect.Parameter] = {}
    for ancestor in component.__mro__:
        if ancestor.__module__.rpartition(".")[2].startswith(("base_", "module_")):
            break
        if "__init__" in vars(ancestor):
            for parameter in inspect.signature(ancestor).parameters.values():
                if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                    found.setdefault(parameter.name, parameter)
    return list(found.values())


def _option(owner: str, argument: inspect.Parameter) -> inspect.Parameter | None:
    """A constructor's argument as an option, or None where no study file can write it."""
    default = REQUIRED.get((owner, argument.name), argument.default)
    if (owner, argument.name) in FIXED or argument.name in IDLE:
        return None
    if argument.name in TEXTS:
        annotation = TEXTS[argument.name]
    elif isinstance(default, bool):
        annotation = bool
    elif isinstance(default, int | float) and argument.name not in WIRED:
        annotation = int if argument.name in INTEGERS else float
        default = annotation(default)
    else:
        return None
    return argument.replace(kind=argument.KEYWORD_ONLY, default=default, annotation=annotation)
