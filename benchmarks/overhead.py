"""What running a study costs beyond the training itself: five ways to run the same trials.

Every way trains and judges the same configuration of an MLP on the digits, about 0.3 s each, as
often as asked and on all cores, with one thread each:

- ``floor``: a bare loop in as many processes as cores; no search, no record, no reports.
- ``stock``: a Ray Tuner with ``OptunaSearch``, one process a trial, as both are shipped.
- ``stock reused``: the same with ``reuse_actors``.
- ``ours``: ``study launch``: durable Optuna studies, pruning consulted, record, MLflow; each trial
  trained by itself.
- ``ours stacked``: the same, with the trials of a pack stepped as one.

Efficiency is the floor's wall time over that of a way, whole processes from start to end, imports
and cluster start included; and without these: from the first trial's start to the last one's end.
Machines are noisy: ways are run in turn, several rounds, and medians are printed.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import click

WAYS = ("floor", "stock", "stock reused", "ours", "ours stacked")
STUDY = """
name: overhead
data: {source: digits, split: points, folds: 1}
search:
  encoder: {mlp: {width: 32, hidden: 128, depth: 1, dropout: 0.0}}
  aggregator: {mean: {}}
  loss: {triplet: {level: both, margin: 0.1, mining: all}}
  training:
    epochs: EPOCHS
    learning_rate: {low: 1e-3, high: 1e-2, log: true}
    classes_per_batch: 10
    group_size: 4
budget: {trials_per_combination: TRIALS, pack: PACK, stacked: STACKED}
algorithm: {report_every: 6, pruner: none}
protocol: {sizes: [1, 2], draws: 2, confirmation: {top: 0}}
"""


@click.command()
@click.option("--trials", default=100, show_default=True)
@click.option("--epochs", default=9, show_default=True, help="Of each trial; 9 are about 0.3 s.")
@click.option("--rounds", default=3, show_default=True)
@click.option(
    "--pack", default=8, show_default=True, help="Trials that share a process, ours only."
)
@click.option("--without", type=click.Choice(WAYS[1:]), multiple=True, help="Leave this one out.")
@click.option("--way", type=click.Choice(WAYS), help="Run this one and print its times as JSON.")
def command(
    trials: int, epochs: int, rounds: int, pack: int, without: tuple[str, ...], way: str | None
) -> None:
    """Compare the overhead of five ways to run the same trials."""
    if way is not None:
        click.echo(json.dumps(_run(way, trials, epochs, pack)))
        return
    times: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS if name not in without}
    for _ in range(rounds):
        for name in times:
            times[name].append(_in_a_process(name, trials, epochs, pack))
    click.echo(_table(times, trials, rounds))


def _in_a_process(way: str, trials: int, epochs: int, pack: int) -> dict[str, float]:
    arguments = ["--way", way, "--trials", trials, "--epochs", epochs, "--pack", pack]
    began = time.time()
    done = subprocess.run(
        [sys.executable, __file__, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise click.ClickException(f"{way} failed:\n{done.stderr}")
    spans = json.loads(done.stdout.splitlines()[-1])
    return {"whole": time.time() - began, "trials": spans["last"] - spans["first"]}


def _table(times: dict[str, list[dict[str, float]]], trials: int, rounds: int) -> str:
    medians = {
        (way, span): median(run[span] for run in runs)
        for way, runs in times.items()
        for span in ("whole", "trials")
    }
    lines = [
        f"{trials} trials, {os.cpu_count()} cores, medians of {rounds} rounds",
        f"{'way':<14}{'whole s':>9}{'efficiency':>12}{'trials s':>10}{'efficiency':>12}",
    ]
    for way in times:
        cells = [
            f"{medians[way, 'whole']:>9.1f}",
            f"{medians['floor', 'whole'] / medians[way, 'whole']:>12.2f}",
            f"{medians[way, 'trials']:>10.1f}",
            f"{medians['floor', 'trials'] / medians[way, 'trials']:>12.2f}",
        ]
        lines.append(f"{way:<14}{''.join(cells)}")
    return "\n".join(lines)


def _run(way: str, trials: int, epochs: int, pack: int) -> dict[str, float]:
    """Runs one way in this process; when its first trial began and its last one ended."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "overhead.yaml"
        text = STUDY.replace("TRIALS", str(trials)).replace("EPOCHS", str(epochs))
        stacked = "auto" if way == "ours stacked" else "never"
        file.write_text(text.replace("PACK", str(pack)).replace("STACKED", stacked))
        if way == "floor":
            spans = _floor(file, trials)
        elif way.startswith("ours"):
            spans = _ours(file)
        else:
            spans = _stock(file, trials, reuse=way == "stock reused")
    return {"first": min(first for first, _ in spans), "last": max(last for _, last in spans)}


def _trial(study: Any, learning_rate: float, seed: int) -> tuple[float, float, float]:
    """Trains and judges one configuration: its quality, when it began and when it ended."""
    from trainables.tasks import TrialTask
    from trainables.training import TrialRun

    configuration = {
        "encoder": {"mlp": {"width": 32, "hidden": 128, "depth": 1, "dropout": 0.0}},
        "aggregator": {"mean": {}},
        "loss": {"triplet": {"level": "both", "margin": 0.1, "mining": "all"}},
        "training": {
            "epochs": study.combinations[0].training.fixed["epochs"],
            "learning_rate": learning_rate,
            "classes_per_batch": 10,
            "group_size": 4,
        },
    }
    began = time.time()
    run = TrialRun(TrialTask("trial", "search", configuration, (seed,)), study.data, study.rules)
    run.run()
    return run.quality, began, time.time()


def _prepared(file: Path) -> Any:
    from study.check import prepare

    return prepare(file, file.parent)


def _floor(file: Path, trials: int) -> list[tuple[float, float]]:
    cores = os.cpu_count() or 1
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        shares = [(str(file), len(range(core, trials, cores))) for core in range(cores)]
        return [span for spans in pool.starmap(_loop, shares) for span in spans]


def _loop(file: str, trials: int) -> list[tuple[float, float]]:
    import torch

    torch.set_num_threads(1)
    study = _prepared(Path(file))
    return [_trial(study, 1e-3, seed)[1:] for seed in range(trials)]


def _stock(file: Path, trials: int, reuse: bool) -> list[tuple[float, float]]:
    import ray
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    class Stock(tune.Trainable):
        def setup(self, config: dict[str, Any], study: Any) -> None:
            import torch

            torch.set_num_threads(1)
            self.study = study

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            return True

        def step(self) -> dict[str, Any]:
            quality, began, ended = _trial(self.study, self.config["learning_rate"], 0)
            return {"quality": quality, "began": began, "ended": ended, "done": True}

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            """Nothing to keep; without this method Tune fails every trial at its end."""

        def load_checkpoint(self, checkpoint: Any) -> None:
            """Nothing was kept."""

    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    tuner = tune.Tuner(
        tune.with_parameters(Stock, study=_prepared(file)),
        param_space={"learning_rate": tune.loguniform(1e-3, 1e-2)},
        tune_config=tune.TuneConfig(
            metric="quality",
            mode="max",
            search_alg=OptunaSearch(seed=1),
            num_samples=trials,
            reuse_actors=reuse,
        ),
        run_config=tune.RunConfig(storage_path=str(file.parent), verbose=0),
    )
    results = tuner.fit()
    if results.num_errors:
        raise RuntimeError(f"{results.num_errors} stock trials failed: {results.errors[0]}")
    return [(result.metrics["began"], result.metrics["ended"]) for result in results]


def _ours(file: Path) -> list[tuple[float, float]]:
    from rich.console import Console

    from study.launch import launch

    record = launch(_prepared(file), file.parent, None, Console(stderr=True))
    outcomes = [result.outcome for result in record.results()]
    return [(outcome.started, outcome.ended) for outcome in outcomes]


if __name__ == "__main__":
    command()
