"""The study file: frozen, strict models; every problem of a file is reported at once."""

import difflib
from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeVar, final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Metric = Literal["map_at_r", "r_precision", "recall_at_1"]
Section = TypeVar("Section", bound=BaseModel)
OptionSpaces = dict[str, Any]
ComponentSpaces = dict[str, OptionSpaces | None]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@final
class DataSection(_Section):
    """Which points are studied and how they are divided."""

    source: str | None = Field(
        default=None, description="`digits`, or the path of a Parquet file; may be given at launch"
    )
    split: Literal["classes", "points", "official"] = Field(
        default="classes",
        description="what test and folds hold out: unseen classes, unseen points of the same "
        "classes, or the data's own split column",
    )
    test_fraction: float = Field(
        default=0.25, gt=0, lt=1, description="share of the points locked away"
    )
    folds: int = Field(
        default=3, ge=1, le=20, description="folds of a trial; 1 holds out a fifth once"
    )
    groups: Literal["sampled", "natural"] = Field(
        default="sampled",
        description="groups drawn from a class, or inside the data's `group` column",
    )


@final
class SearchSection(_Section):
    """Components by slot and name, each with the spaces of its options."""

    encoder: ComponentSpaces = Field(min_length=1)
    aggregator: ComponentSpaces = Field(min_length=1)
    loss: ComponentSpaces = Field(min_length=1)
    views: ComponentSpaces = Field(default_factory=dict)
    training: OptionSpaces = Field(default_factory=dict)


@final
class BudgetSection(_Section):
    """How much is computed, and on what."""

    trials_per_combination: int = Field(default=32, ge=1, le=100_000, description="trials")
    pack: int = Field(
        default=4, ge=1, le=256, description="trials that share one process at a time"
    )
    concurrent_packs: int | None = Field(
        default=None,
        ge=1,
        description="packs at once; by default as many as the cluster has room for",
    )
    cpus_per_pack: int = Field(default=1, ge=1, description="CPUs, and threads, of a pack")
    gpus_per_pack: float = Field(
        default=0.0, ge=0, description="GPUs of a pack; a share is allowed"
    )
    retries: int = Field(
        default=2, ge=0, le=100, description="restarts of a pack whose process died"
    )


@final
class AlgorithmSection(_Section):
    """How configurations are proposed and unpromising trials stopped."""

    sampler: Literal["cmaes", "gp", "nsga2", "qmc", "random", "tpe"] = "tpe"
    startup_trials: int | None = Field(
        default=None,
        ge=1,
        description="random trials before the model; by default a third of the budget",
    )
    pruner: Literal["median", "successive_halving", "none"] = "median"
    report_every: int = Field(default=1, ge=1, description="epochs between two validations")


@final
class ConfirmationSection(_Section):
    """Which configurations are trained again and read on the locked test points."""

    top: int = Field(default=1, ge=0, le=100, description="best trials of each combination")
    seeds: int = Field(default=1, ge=1, le=100, description="fresh seeds for each of them")


@final
class ProtocolSection(_Section):
    """How group embeddings are judged."""

    sizes: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(1, 2, 5), min_length=1, strict=False, description="points per evaluated group"
    )
    draws: int = Field(
        default=5, ge=1, le=1000, description="random divisions into groups, averaged"
    )
    metric: Metric = Field(default="map_at_r", description="the quality that selects")
    size: int | None = Field(
        default=None, ge=1, description="group size that selects; default: largest"
    )
    bound: Literal["t1", "t1_prime", "t4"] = Field(
        default="t4", description="the bound behind the gap"
    )
    objectives: tuple[Literal["quality", "relative_gap"], ...] = Field(
        default=("quality",),
        min_length=1,
        max_length=2,
        strict=False,
        description="what is optimised",
    )
    normalize: bool = Field(default=True, description="scale point embeddings to length 1")
    confirmation: ConfirmationSection = ConfirmationSection()

    @property
    def selecting_size(self) -> int:
        """Points per group at which quality and gap are read."""
        return self.size if self.size is not None else max(self.sizes)

    @property
    def quality_name(self) -> str:
        """Metric, without its phase, that ranks trials."""
        return f"{self.metric}.size{self.selecting_size}"

    @property
    def gap_name(self) -> str:
        """Metric, without its phase, of the bound gap."""
        return f"{self.bound}_relative_gap.size{self.selecting_size}"

    @model_validator(mode="after")
    def _is_coherent(self) -> "ProtocolSection":
        if self.selecting_size not in self.sizes:
            raise ValueError(f"size: must be one of sizes {list(self.sizes)}, got {self.size}")
        if len(set(self.objectives)) < len(self.objectives) or self.objectives[0] != "quality":
            raise ValueError("objectives: must be [quality] or [quality, relative_gap]")
        return self


@final
class TrackingSection(_Section):
    """Where MLflow keeps the projection of the record."""

    uri: str | None = Field(
        default=None, description="tracking address; by default SQLite in the study"
    )


@final
class StudyConfig(_Section):
    """One study: data, combinations, spaces, budget, protocol."""

    name: str = Field(pattern=r"^\w[\w.-]{0,63}$", description="names the study's folder")
    seed: int = Field(default=0, ge=0, lt=1 << 32)
    data: DataSection
    search: SearchSection
    budget: BudgetSection = BudgetSection()
    algorithm: AlgorithmSection = AlgorithmSection()
    protocol: ProtocolSection = ProtocolSection()
    tracking: TrackingSection = TrackingSection()

    @model_validator(mode="after")
    def _is_coherent(self) -> "StudyConfig":
        if len(self.protocol.objectives) > 1 and self.algorithm.pruner != "none":
            raise ValueError(
                "algorithm.pruner: two objectives cannot be pruned; say `pruner: none`"
            )
        return self


def validate(model: type[Section], content: Any) -> tuple[Section | None, list[str]]:
    """A section from what YAML gave, or None and every problem with it."""
    try:
        return model.model_validate(content), []
    except ValidationError as error:
        return None, [_problem(model, dict(item)) for item in error.errors()]


def nearest(name: str, known: Iterable[str]) -> str:
    """A remedy for an unknown name: the nearest known one, else all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"choose from {', '.join(known)}"


def _problem(model: type[BaseModel], error: dict[str, Any]) -> str:
    path = [str(part) for part in error["loc"]]
    where = ".".join(path)
    match error["type"]:
        case "extra_forbidden":
            return f"{where}: no such key; {nearest(path[-1], _fields(model, path[:-1]))}"
        case "missing":
            return f"{where}: is missing"
        case "value_error":
            return ".".join([*path, str(error["ctx"]["error"])])
        case "string_pattern_mismatch" if path == ["name"]:
            return f"name: must be 1 to 64 letters, digits, `.`, `-` or `_`, got {error['input']!r}"
        case _:
            message = error["msg"][0].lower() + error["msg"][1:]
            return f"{where}: {message}, got {error['input']!r}"


def _fields(section: Any, path: list[str]) -> list[str]:
    """Keys that the section at ``path`` may hold."""
    for part in path:
        section = section.model_fields[part].annotation
    return list(section.model_fields)
