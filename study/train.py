"""Trains an exported configuration again and holds the figures against the recorded ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch

from study import material
from study.errors import ConfigError
from study.exported import ExportedConfiguration, load
from trainables.training import Phase, StudyData, TrialRun, TrialTask


@final
@dataclass(frozen=True)
class Repetition:
    """Metrics of a training beside those recorded, by name."""

    metrics: dict[str, float]
    recorded: dict[str, float]

    @property
    def differing(self) -> list[str]:
        """Names of metrics that are not exactly equal."""
        names = sorted({*self.metrics, *self.recorded})
        return [name for name in names if self.metrics.get(name) != self.recorded.get(name)]

    @property
    def text(self) -> str:
        """Every metric, and whether it is the recorded one to the last bit."""
        lines = [
            f"{name}: {self.metrics.get(name)}"
            + (f", recorded {self.recorded.get(name)}" if name in self.differing else "")
            for name in sorted({*self.metrics, *self.recorded})
        ]
        equal = len(lines) - len(self.differing)
        return "\n".join(
            [*lines, f"{equal} of {len(lines)} metrics equal the recorded ones exactly"]
        )


def train(path: Path, phase: Phase, source: str | None = None) -> Repetition:
    """Trains the configuration in a file as its study did, and as many threads as then.

    Args:
        path: a ``configuration.yaml`` of an export.
        phase: the search trial on its folds, or the confirmation on the test points.
        source: where the points are now, if not where the file says.

    Raises:
        ConfigError: if the file is wrong, the points are not those of the study, or there was no
            confirmation.
        TrainingError: if training fails.
    """
    content = load(path)
    recorded = content.run(phase)
    if recorded is None:
        raise ConfigError(path, ["confirmation: there is none; train without --confirm"])
    data = _same_data(path, content, source)
    rules = material.rules(content.protocol, content.seed, content.report_every)
    torch.set_num_threads(recorded.execution["threads"])
    task = TrialTask(recorded.key, phase, content.configuration, recorded.seeds)
    return Repetition(TrialRun(task, data, rules).run().metrics, recorded.metrics)


def _same_data(path: Path, content: ExportedConfiguration, source: str | None) -> StudyData:
    """The study's data, refused where it is not what the study had."""
    section = content.data.model_copy(update={"source": source or content.data.source})
    points, problems = material.points(section.source)
    if points is None:
        raise ConfigError(path, problems)
    data, problems = material.divide(section, content.seed, points)
    if data is not None:
        found = material.digests(data)
        problems = [
            f"digests.{kind}: {section.source} is not the data of the study; name it with --data"
            for kind, digest in content.digests.items()
            if found[kind] != digest
        ]
    if data is None or problems:
        raise ConfigError(path, problems)
    return data
