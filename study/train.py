"""Trains an exported configuration again and holds the figures against the recorded ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch

from study import material
from study.errors import ConfigError
from study.exported import ExportedConfiguration, RecordedRun, load
from study.manifest import versions
from trainables.allocation import keep_freed_memory
from trainables.device import CPU
from trainables.tasks import Phase, StudyData, TrialTask
from trainables.training import TrialRun


@final
@dataclass(frozen=True)
class Repetition:
    """Metrics of a training beside those recorded, by name.

    Args:
        key: of the recorded trial.
        metrics: what was found now.
        recorded: what the study had found.
        versions: packages whose version is another now, in words.
        pack: members that were stepped as one then; now each is by itself.
    """

    key: str
    metrics: dict[str, float]
    recorded: dict[str, float]
    versions: tuple[str, ...] = ()
    pack: int = 1

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
        end = f"{self.key}: {equal} of {len(lines)} metrics equal the recorded ones exactly"
        others = list(self.versions)
        if self.pack > 1:
            others += [f"then {self.pack} members were stepped as one, now each is by itself"]
        return "\n".join([*lines, end, *(others if self.differing else ())])


def train(path: Path, phase: Phase, source: str | None = None) -> Iterator[Repetition]:
    """Trains the configuration in a file as its study did, with as many threads as then.

    Args:
        path: a ``configuration.yaml`` of an export.
        phase: the search trial on its folds, or every confirmation on the test points.
        source: where the points are now, if not where the file says.

    Returns:
        One for each recorded trial, trained when it is asked for.

    Raises:
        ConfigError: if the file is wrong, the points are not those of the study, or there was no
            confirmation.
        TrainingError: if training fails.
    """
    content = load(path)
    if not content.runs(phase):
        raise ConfigError(path, ["confirmations: there are none; train without --confirm"])
    data = _same_data(path, content, source)
    return (_repetition(content, run, phase, data) for run in content.runs(phase))


def _repetition(
    content: ExportedConfiguration, recorded: RecordedRun, phase: Phase, data: StudyData
) -> Repetition:
    rules = material.rules(content.protocol, content.seed, content.report_every)
    torch.set_num_threads(recorded.execution["threads"])
    keep_freed_memory()
    task = TrialTask(recorded.key, phase, content.configuration, recorded.seeds)
    then = recorded.execution.get("device", CPU.type)
    device = torch.device(then if then == CPU.type or torch.cuda.is_available() else CPU.type)
    metrics = TrialRun(task, data, rules, device=device).run().metrics
    others = [
        f"{name}: {now} now, {content.versions.get(name)} then"
        for name, now in versions().items()
        if now != content.versions.get(name)
    ]
    if device.type != then:
        others.append(f"device: {device.type} now, {then} then")
    pack = recorded.execution.get("pack", 1)
    return Repetition(recorded.key, metrics, recorded.metrics, tuple(others), pack)


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
