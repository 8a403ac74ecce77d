"""The configuration file of an export: all that is needed to train it again and compare."""

from pathlib import Path
from typing import Any, final

import yaml
from pydantic import BaseModel, ConfigDict, Field

from study.config import DataSection, ProtocolSection, SearchSection
from study.errors import ConfigError
from study.record import Record, Result
from study.space import search_space
from study.strict_yaml import read_yaml
from study.validation import contradictions, validate
from trainables import catalogue
from trainables.tasks import Phase
from trainables.wording import shown


@final
class RecordedRun(BaseModel):
    """One training as the record has it: what a repetition must reproduce."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    key: str
    seeds: tuple[int, ...] = Field(strict=False, description="one for each member")
    metrics: dict[str, float]
    execution: dict[str, Any] = Field(description="threads and versions the figures depend on")


@final
class ExportedConfiguration(BaseModel):
    """A configuration with its data, protocol, seeds and recorded figures."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    study: str
    combination: str
    seed: int = Field(description="of the study: divides the data and draws evaluated groups")
    data: DataSection
    digests: dict[str, str] = Field(description="of the data and its division")
    protocol: ProtocolSection
    report_every: int = Field(ge=1, description="epochs between two validations")
    configuration: dict[str, Any]
    search: RecordedRun
    confirmations: tuple[RecordedRun, ...] = Field(strict=False, description="one for each seed")
    versions: dict[str, str] = Field(description="of the packages that the study began with")
    revision: str | None = Field(description="of the code")

    def runs(self, phase: Phase) -> tuple[RecordedRun, ...]:
        """The recorded trainings of a phase."""
        return (self.search,) if phase == "search" else self.confirmations


def exported(record: Record, found: Result, confirmed: list[Result]) -> ExportedConfiguration:
    """The export of a searched trial and its confirmations, as far as there are any."""
    config = record.config
    return ExportedConfiguration(
        study=config.name,
        combination=found.trial.combination,
        seed=config.seed,
        data=config.data,
        digests=record.manifest["digests"],
        protocol=config.protocol,
        report_every=config.algorithm.report_every,
        configuration=found.trial.configuration,
        search=_recorded(found),
        confirmations=tuple(map(_recorded, confirmed)),
        versions=record.manifest["versions"],
        revision=record.manifest["revision"],
    )


def dump(content: ExportedConfiguration) -> str:
    """The file's text; floats keep every digit."""
    return yaml.safe_dump(content.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load(path: Path) -> ExportedConfiguration:
    """Reads a configuration file.

    Raises:
        ConfigError: with every problem of the file.
    """
    content, problems = validate(ExportedConfiguration, read_yaml(path))
    if content is not None:
        problems = [
            *contradictions(content.protocol, None, None),
            *_configuration_problems(content.configuration),
            *_run_problems("search", content.search, content.data.folds),
            *(
                problem
                for number, run in enumerate(content.confirmations)
                for problem in _run_problems(f"confirmations.{number}", run, 1)
            ),
        ]
    if content is None or problems:
        raise ConfigError(path, problems)
    return content


def _configuration_problems(configuration: dict[str, Any]) -> list[str]:
    """What is wrong with the components and their values, as a search of single values."""
    section, problems = validate(SearchSection, configuration)
    if section is None:
        return [f"configuration.{problem}" for problem in problems]
    several = [
        f"{slot}: must name one component, names {', '.join(components)}"
        for slot in catalogue.SLOTS
        if len(components := getattr(section, slot)) > 1
    ]
    space, problems = search_space(configuration)
    searched = [name for c in space.combinations[:1] for name in c.distributions()]
    return [
        *(f"configuration.{problem.removeprefix('search.')}" for problem in problems),
        *(f"configuration.{problem}" for problem in several),
        *(f"configuration.{name}: must be one value" for name in searched if not several),
    ]


def _run_problems(place: str, run: RecordedRun, members: int) -> list[str]:
    problems = []
    if len(run.seeds) != members:
        problems.append(f"{place}.seeds: must be {members}, one for each member")
    threads = run.execution.get("threads")
    if not isinstance(threads, int) or threads < 1:
        problems.append(f"{place}.execution.threads: must be at least 1, got {shown(threads)}")
    return problems


def _recorded(result: Result) -> RecordedRun:
    outcome = result.outcome
    return RecordedRun(
        key=result.trial.key,
        seeds=result.trial.seeds,
        metrics=outcome.metrics,
        execution=outcome.execution,
    )
