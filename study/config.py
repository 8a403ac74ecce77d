"""The study file as frozen, strict models."""

from typing import Annotated, Any, Literal, final

from pydantic import BaseModel, ConfigDict, Field

LONGEST_NAME = 63
Metric = Literal["map_at_r", "r_precision", "recall_at_1"]
OptionSpaces = dict[str, Any]
ComponentSpaces = dict[str, OptionSpaces | None]
StudyName = Annotated[str, Field(pattern=rf"^\w[\w.-]{{0,{LONGEST_NAME - 1}}}$")]
GroupSize = Annotated[int, Field(ge=1, le=1_000_000)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


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

    encoder: ComponentSpaces = Field(min_length=1, description="names, each with its options")
    aggregator: ComponentSpaces = Field(min_length=1, description="names, each with its options")
    loss: ComponentSpaces = Field(min_length=1, description="names, each with its options")
    views: ComponentSpaces = Field(
        default_factory=dict, description="names, each with its options; for losses that need them"
    )
    training: OptionSpaces = Field(
        default_factory=dict, description="options of the training, the same for all"
    )


@final
class BudgetSection(_Section):
    """How much is computed, and on what."""

    trials_per_combination: int = Field(default=32, ge=1, le=100_000, description="trials")
    pack: int = Field(default=4, ge=1, le=256, description="trials that share one process")
    stacked: Literal["auto", "never"] = Field(
        default="auto",
        description="whether members of a pack that share shapes are stepped as one where a short "
        "try shows that to be faster, which changes figures by rounding",
    )
    alike: bool = Field(
        default=False,
        description="whether trials of a pack share every choice and whole number and differ in "
        "real numbers only, so that all are stepped as one; fewer choices are tried",
    )
    concurrent_packs: int | None = Field(
        default=None,
        ge=1,
        description="packs at once; by default as many as the cluster has room for",
    )
    cpus_per_pack: int = Field(default=1, ge=1, description="CPUs, and threads, of a pack")
    gpus_per_pack: float = Field(
        default=0.0, ge=0, description="GPUs of a pack, which then trains there; a share is allowed"
    )
    gpu_share: Literal["given", "measured"] = Field(
        default="given",
        description="whether a pack gets gpus_per_pack, or what it needs of that in a short try",
    )
    retries: int = Field(
        default=2,
        ge=0,
        le=100,
        description="restarts of a trial whose process died, each in a process for itself",
    )
    max_failed: int | None = Field(
        default=None,
        ge=1,
        description="failed trials at which the study stops; by default none stop it",
    )
    hours: float | None = Field(
        default=None,
        gt=0,
        description="hours of one launch; then trials save their state, to be continued",
    )
    trial_minutes: float | None = Field(
        default=None,
        gt=0,
        description="minutes that one attempt at a trial may train, hanging included",
    )
    memory_gib_per_pack: float | None = Field(
        default=None,
        gt=0,
        description="GiB that training may take in one process; what wants more even alone fails",
    )
    checkpoint_gib: float | None = Field(
        default=None,
        gt=0,
        description="GiB for the checkpoints of all trials that run at once, in equal shares",
    )


@final
class WarmStartSection(_Section):
    """Another study, whose best configurations are tried first."""

    study: StudyName = Field(description="its name, under the same root")
    top: int = Field(default=3, ge=1, le=100, description="best trials of each combination")


@final
class AlgorithmSection(_Section):
    """How configurations are proposed and unpromising trials stopped."""

    sampler: Literal["cmaes", "gp", "nsga2", "qmc", "random", "tpe"] = Field(
        default="tpe", description="Optuna's algorithm that proposes configurations"
    )
    startup_trials: int | None = Field(
        default=None,
        ge=1,
        description="random trials before the model; by default a third of the budget",
    )
    pruner: Literal["median", "successive_halving", "none"] = Field(
        default="median", description="stops trials that do worse than others at equal epochs"
    )
    report_every: int = Field(default=1, ge=1, description="epochs between two validations")
    warm_start: WarmStartSection | None = Field(
        default=None, description="a study whose best configurations are tried first"
    )


@final
class ConfirmationSection(_Section):
    """Which configurations are trained again and read on the locked test points."""

    top: int = Field(default=1, ge=0, le=100, description="best trials of each combination")
    seeds: int = Field(default=1, ge=1, le=100, description="fresh seeds for each of them")


@final
class GroupAwareSection(_Section):
    """The group-aware similarity of GroupFace, by which points are judged once more."""

    weight: float = Field(default=0.1, ge=0, description="of the distance of latent groups")
    exponent: float = Field(default=1 / 3, gt=0, description="of that distance")


@final
class ProtocolSection(_Section):
    """How group embeddings are judged."""

    sizes: tuple[GroupSize, ...] = Field(
        default=(1, 2, 5),
        min_length=1,
        max_length=20,
        strict=False,
        description="points per evaluated group",
    )
    draws: int = Field(
        default=5, ge=1, le=1000, description="random divisions into groups, averaged"
    )
    metric: Metric = Field(default="map_at_r", description="the quality that selects")
    size: GroupSize | None = Field(
        default=None, description="group size that selects; default: largest"
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
    group_aware: GroupAwareSection | None = Field(
        default=None,
        description="judge points also by a similarity that parts the latent groups an encoder "
        "tells; `{}` for that of the paper",
    )
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


@final
class TrackingSection(_Section):
    """Where MLflow keeps the projection of the record."""

    uri: str | None = Field(
        default=None, description="tracking address; by default SQLite beside the study"
    )


@final
class StorageSection(_Section):
    """Where Optuna's studies and the lease of the driver are kept."""

    database: str | None = Field(
        default=None,
        description="address without a password; by default files in the study's folder",
    )


@final
class StudyConfig(_Section):
    """One study: data, combinations, spaces, budget, protocol."""

    name: StudyName = Field(description="names the study's folder")
    seed: int = Field(
        default=0, ge=0, lt=1 << 32, description="of division, groups, proposals and trainings"
    )
    data: DataSection
    search: SearchSection
    budget: BudgetSection = BudgetSection()
    algorithm: AlgorithmSection = AlgorithmSection()
    protocol: ProtocolSection = ProtocolSection()
    tracking: TrackingSection = TrackingSection()
    storage: StorageSection = StorageSection()
