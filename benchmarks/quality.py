"""Minutes until a study of Omniglot is as good as stock Ray Tune with ASHA becomes in half an hour.

    python benchmarks/quality.py omniglot.parquet [--minutes 30]

Both search the same space, ``STUDY``, with the same trainings, one thread each, on all cores, from
the start of their process. Stock is a Tuner as it is shipped, with ``OptunaSearch`` over that space
and ``ASHAScheduler``, each trial a process of its own. Ours is ``study launch`` as it is shipped,
ended when it is there. Quality is group MAP@R on the validation classes; times are those of
validations, also of trials that have not ended yet.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

STUDY = """
name: quality
data: {split: official, folds: 1}
search:
  encoder: {conv4: {width: 64, channels: 16}}
  aggregator: {mean: {}}
  loss:
    triplet: {margin: {low: 0.05, high: 0.5, log: true}, mining: [all, semi_hard]}
  training:
    epochs: 8
    learning_rate: {low: 0.0003, high: 0.03, log: true}
    classes_per_batch: 32
    groups_per_class: 2
    group_size: [2, 4]
budget: {trials_per_combination: 1000, pack: 1}
algorithm: {report_every: 1, startup_trials: 10, pruner: successive_halving}
protocol: {sizes: [2], size: 2, draws: 2, confirmation: {top: 0}}
"""
LOOKS = 2.0
"""Seconds between two looks at the record."""
SHARES = (0.8, 0.9, 0.95, 0.98)
Validation = tuple[float, float]
"""When it was, in seconds since the start of the process, and the quality found."""


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("--minutes", default=30.0, show_default=True, help="Of stock Tune.")
@click.option("--stock", is_flag=True, help="Run this one and print its validations as JSON.")
def command(data: Path, minutes: float, stock: bool) -> None:
    """Compare the time to the same quality."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "quality.yaml"
        file.write_text(STUDY)
        if stock:
            click.echo(json.dumps(_stock(file, data.absolute(), minutes * 60)))
            return
        found = _stock_process(data, minutes)
        if not found:
            raise click.ClickException("stock Ray Tune validated nothing in that time: --minutes")
        quality = max(quality for _, quality in found)
        click.echo(f"stock: {quality:.4f} after {_minutes_to(quality, found):.1f} minutes")
        own = _ours(file, data.absolute(), quality, minutes * 60)
    best = max((quality for _, quality in own), default=float("nan"))
    reached = f"{_minutes_to(quality, own):.1f} minutes" if best >= quality else "not reached"
    click.echo(f"ours: {quality:.4f} after {reached}; best {best:.4f}")
    for share in SHARES:
        times = [_minutes_to(share * quality, way) for way in (found, own)]
        click.echo(f"{share:.0%} of it: stock {times[0]:.1f}, ours {times[1]:.1f} minutes")
    for name, way in (("stock", found), ("ours", own)):
        good = [reached for _, reached in way if reached >= SHARES[-1] * quality]
        minute = max((at for at, _ in way), default=float("nan")) / 60
        click.echo(
            f"{name}: {len(way) / minute:.1f} validations a minute, "
            f"{len(good) / minute:.1f} of {SHARES[-1]:.0%} or more"
        )


def _minutes_to(quality: float, found: list[Validation]) -> float:
    return min((at for at, reached in found if reached >= quality), default=float("nan")) / 60


def _stock_process(data: Path, minutes: float) -> list[Validation]:
    done = subprocess.run(
        [sys.executable, __file__, str(data), "--stock", "--minutes", str(minutes)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return [(at, quality) for at, quality in json.loads(done.stdout.splitlines()[-1])]


class _Space:
    """What Optuna proposes; Tune pickles it."""

    def __init__(self, study: Any) -> None:
        self._combination = study.combinations[0]

    def __call__(self, trial: Any) -> dict[str, Any]:
        return {"configuration": self._combination.propose(trial).nested()}


def _stock_trainable() -> Any:
    from ray import tune

    class Stock(tune.Trainable):
        def setup(self, config: dict[str, Any], study: Any) -> None:
            import torch

            from trainables.tasks import TrialTask
            from trainables.training import TrialRun

            torch.set_num_threads(1)
            task = TrialTask("trial", "search", config["configuration"], (0,))
            self.run = TrialRun(task, study.data, study.rules)

        def step(self) -> dict[str, Any]:
            self.run.advance()
            ended = self.run.outcome is not None
            return {"quality": self.run.quality, "at": time.time(), "done": ended}

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            """Nothing to keep; without this method Tune fails every trial at its end."""

        def load_checkpoint(self, checkpoint: Any) -> None:
            """Nothing was kept."""

    return Stock


def _stock(file: Path, data: Path, seconds: float) -> list[Validation]:
    import psutil
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    from study.check import prepare

    began = psutil.Process().create_time()
    study = prepare(file, file.parent, str(data))
    found: list[Validation] = []

    class Heard(tune.Callback):
        def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any) -> None:
            found.append((result["at"] - began, result["quality"]))

    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    tune.Tuner(
        tune.with_parameters(_stock_trainable(), study=study),
        tune_config=tune.TuneConfig(
            metric="quality",
            mode="max",
            search_alg=OptunaSearch(_Space(study), metric="quality", mode="max", seed=1),
            scheduler=ASHAScheduler(max_t=8, grace_period=1, reduction_factor=4),
            num_samples=-1,
            time_budget_s=seconds - (time.time() - began),
        ),
        run_config=tune.RunConfig(storage_path=str(file.parent), verbose=0, callbacks=[Heard()]),
    ).fit()
    return found


def _ours(file: Path, data: Path, quality: float, most: float) -> list[Validation]:
    """Ended as soon as the quality is reached, or after so many seconds."""
    from study.record import Record

    began = time.time()
    root = file.parent / "studies"
    launch = subprocess.Popen(
        [sys.executable, "-m", "study", "launch", file, "--data", data, "--root", root],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    found: list[Validation] = []
    while launch.poll() is None and time.time() - began < most:
        time.sleep(LOOKS)
        if (root / "quality" / "study.json").exists():
            found = _validations(Record(root / "quality"), began)
        if any(reached >= quality for _, reached in found):
            break
    if launch.poll() is None:
        os.kill(launch.pid, signal.SIGINT)
    launch.wait()
    return found


def _validations(record: Any, began: float) -> list[Validation]:
    name = f"val/{record.config.protocol.quality_name}"
    return [
        (of["time"] - began, of["metrics"][name])
        for result in record.results()
        for of in result.outcome.history
        if name in of["metrics"]
    ]


if __name__ == "__main__":
    command()
