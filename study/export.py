"""Exports the best configurations: configuration file, weights, model card, program."""

from pathlib import Path
from shutil import copytree

import pandas as pd

from analysis.intervals import mean_intervals
from study import confirmation, products
from study.command import command
from study.config import StudyConfig
from study.errors import RecordError
from study.exported import ExportedConfiguration, dump, exported
from study.first_model import first_model, write_program
from study.legality import is_covered
from study.record import Record, Result
from trainables import places
from trainables.places import Place

CARD = """{heading}

Of trial `{key}`, seeds {seeds}:

| metric | value |
|---|---|
{rows}

- Trained on `{source}` ({split} split, data digest `{digest}`).
- Group size and metric that selected it: `val/{quality}`.
- Bound gap: {coverage}.
- `configuration.yaml` holds everything; `study train configuration.yaml` reproduces the
  validation figures, `study train configuration.yaml --confirm` the test figures of every seed.
- Code revision `{revision}`, {versions}.
- `weights.safetensors`, of the same trial: parameters named `<member>.<parameter>`; {members}.
- {program}
"""


def export(record: Record, folder: Place, with_programs: bool = False) -> list[Place]:
    """Writes the best of each combination, and the best of all as ``best``; returns their folders.

    An existing export is replaced as a whole.

    Args:
        record: of the study.
        folder: to write.
        with_programs: whether to write ``model.pt2`` too, which takes seconds for each combination;
            where a component cannot be exported, the card says so.

    Raises:
        RecordError: if the study has no complete trial, or the folder holds or is anything else
            than an export, or cannot be written.
    """
    results = record.results()
    chosen = best_of_each(record.config, results)
    if not chosen:
        raise RecordError(record.folder, ["has no complete trial; nothing can be exported"])
    _require_export(folder)
    names = [found.trial.combination for found in chosen]
    try:
        with places.replaced(folder) as unfinished:
            for name, found in zip(names, chosen, strict=True):
                of_one = confirmed(results, found)
                _write(record, found, of_one, unfinished / name, with_programs)
            copytree(unfinished / names[0], unfinished / "best")
    except OSError as error:
        raise RecordError(folder, [f"cannot be written: {error.strerror or error}"]) from error
    return [folder / name for name in (*names, "best")]


def _require_export(folder: Place) -> None:
    """Refuses a folder with anything else in it: it would be deleted."""
    if folder.exists() and not folder.is_dir():
        raise RecordError(folder, ["is not a folder; name another with --to"])
    foreign = [
        entry.name
        for entry in (folder.iterdir() if folder.exists() else ())
        if not (entry / "configuration.yaml").exists()
    ]
    if foreign:
        raise RecordError(
            folder, [f"holds more than an export, such as {min(foreign)}; name another with --to"]
        )


def best_of_each(config: StudyConfig, results: list[Result]) -> list[Result]:
    """The best complete search trial of every combination, best first."""
    first: dict[str, Result] = {}
    for result in confirmation.best(config, results):
        first.setdefault(result.trial.combination, result)
    return list(first.values())


def confirmed(results: list[Result], found: Result) -> list[Result]:
    """The complete confirmations of a search trial, by the number of their seed."""
    complete = [
        result
        for result in results
        if result.trial.phase == "confirmation"
        and result.trial.based_on == found.trial.key
        and result.outcome.state == "complete"
    ]
    return sorted(complete, key=lambda result: int(result.trial.key.rpartition("-")[2]))


def _write(
    record: Record, found: Result, confirmations: list[Result], folder: Path, with_program: bool
) -> None:
    folder.mkdir(parents=True)
    content = exported(record, found, confirmations)
    shown = confirmations[0] if confirmations else found
    (folder / "configuration.yaml").write_text(dump(content), encoding="utf-8")
    products.tensors(record, shown, "weights")  # or says why there are none
    places.copy(record.files(shown) / "weights.safetensors", folder / "weights.safetensors")
    told = f"No `model.pt2`: `{command('export', record.config.name)}` writes it."
    if with_program:
        told = write_program(first_model(record, shown), folder / "model.pt2")
    (folder / "card.md").write_text(_card(content, told), encoding="utf-8")


def heading(record: Record, found: Result, confirmations: list[Result]) -> str:
    """Name and figures of a configuration: the first lines of its card.

    Args:
        record: of the study.
        found: its trial in the search.
        confirmations: its complete confirmations.
    """
    return _heading(exported(record, found, confirmations))


def _heading(content: ExportedConfiguration) -> str:
    return f"# {content.combination}, from study {content.study}\n\n{_claim(content)}"


def _card(content: ExportedConfiguration, program: str) -> str:
    run = content.confirmations[0] if content.confirmations else content.search
    (aggregator,) = content.configuration["aggregator"]
    names = [name for name in run.metrics if not name.startswith("train/")]
    return CARD.format(
        heading=_heading(content),
        rows="\n".join(f"| `{name}` | {run.metrics[name]:.6g} |" for name in sorted(names)),
        source=content.data.source,
        split=content.data.split,
        digest=content.digests["data"][:12],
        key=run.key,
        program=program,
        revision=content.revision,
        versions=", ".join(f"{name} {number}" for name, number in content.versions.items()),
        seeds=", ".join(map(str, run.seeds)),
        quality=content.protocol.quality_name,
        coverage="covered by the theorem"
        if is_covered(aggregator)
        else "no bound is known to hold",
        members="trained on all points but the test points"
        if content.confirmations
        else "one member for each fold",
    )


def _claim(content: ExportedConfiguration) -> str:
    quality = content.protocol.quality_name
    searched = f"validation {quality} {content.search.metrics[f'val/{quality}']:.4f}"
    if not content.confirmations:
        return (
            f"Not confirmed on the test points; {searched} (mean over folds, best of the search)."
        )
    tested = pd.DataFrame({"test": [r.metrics[f"test/{quality}"] for r in content.confirmations]})
    (mean,) = mean_intervals(tested.assign(of="all"), ["of"], ["test"]).to_dict("records")
    interval = "" if mean["n"] == 1 else f" [{mean['test_low']:.4f}, {mean['test_high']:.4f}]"
    seeds = "one fresh seed" if mean["n"] == 1 else f"{mean['n']} fresh seeds, mean [95% interval]"
    return (
        f"Test {quality} {mean['test']:.4f}{interval}: {seeds}; {searched} (mean over folds, best "
        "of the search, hence optimistic)."
    )
