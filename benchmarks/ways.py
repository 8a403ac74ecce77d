"""Ways to run the same trials of a study, each as its makers ship it; see ``overhead.py``."""

import argparse
import contextlib
import multiprocessing
import os
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from work import Work

ALL = ("floor", "stock", "stock reused", "optuna", "syne tune", "ours", "ours stacked")
WAYS = tuple(way for way in ALL if way != "syne tune" or find_spec("syne_tune"))
LOOKS = 0.1
"""Seconds between two looks of Syne Tune for ended trials."""


def run(way: str, work: Work) -> dict[str, float]:
    """Runs one way in this process; when its first trial began and its last one ended."""
    with tempfile.TemporaryDirectory() as folder:
        file, trials = Path(folder) / "overhead.yaml", work.trials
        file.write_text(work.study("auto" if way == "ours stacked" else "never"))
        if way == "floor":
            spans = _floor(file, trials)
        elif way.startswith("ours"):
            spans = _ours(file)
        elif way == "optuna":
            spans = _optuna(file, trials)
        elif way == "syne tune":
            spans = _syne_tune(file, trials)
        else:
            spans = _stock(file, trials, reuse=way == "stock reused")
    return {"first": min(first for first, _ in spans), "last": max(last for _, last in spans)}


def _trial(study: Any, learning_rate: float, seed: int) -> tuple[float, float, float]:
    """Trains and judges one configuration: its quality, when it began and when it ended."""
    from optuna.trial import FixedTrial

    from trainables.tasks import TrialTask
    from trainables.training import TrialRun

    (combination,) = study.combinations
    (searched,) = combination.distributions()
    configuration = combination.propose(FixedTrial({searched: learning_rate})).nested()
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


def _optuna(file: Path, trials: int) -> list[tuple[float, float]]:
    cores = os.cpu_count() or 1
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        shares = [(str(file), len(range(core, trials, cores)), core) for core in range(cores)]
        return [span for spans in pool.starmap(_optimized, shares) for span in spans]


def _optimized(file: str, trials: int, seed: int) -> list[tuple[float, float]]:
    import optuna
    import torch
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    prepared, spans = _prepared(Path(file)), []

    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("learning_rate", 1e-3, 1e-2, log=True)
        quality, *span = _trial(prepared, rate, trial.number)
        spans.append(tuple(span))
        return quality

    study = optuna.create_study(
        study_name="overhead",
        direction="maximize",
        storage=JournalStorage(JournalFileBackend(f"{file}.journal")),
        sampler=optuna.samplers.TPESampler(seed=seed),
        load_if_exists=True,
    )
    study.optimize(objective, trials)
    return spans


def _syne_tune(file: Path, trials: int) -> list[tuple[float, float]]:
    os.environ["SYNETUNE_FOLDER"] = str(file.parent)
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend import LocalBackend
    from syne_tune.config_space import loguniform
    from syne_tune.optimizer.baselines import RandomSearch

    tuner = Tuner(
        trial_backend=LocalBackend(entry_point=__file__),
        scheduler=RandomSearch(
            {"learning_rate": loguniform(1e-3, 1e-2), "file": str(file)},
            metrics=["quality"],
            do_minimize=False,
            random_seed=1,
        ),
        stop_criterion=StoppingCriterion(max_num_trials_finished=trials),
        n_workers=os.cpu_count() or 1,
        sleep_time=LOOKS,
        wait_trial_completion_when_stopping=True,
    )
    # It prints, and leaves files in the working folder.
    with contextlib.redirect_stdout(sys.stderr), contextlib.chdir(file.parent):
        tuner.run()
    rows = tuner.tuning_status.trial_rows.values()
    spans = [(row["began"], row["ended"]) for row in rows if "ended" in row]
    if len(spans) < trials:
        raise RuntimeError(f"only {len(spans)} of {trials} trials of Syne Tune ended")
    return spans


def _syne_tune_trial() -> None:
    """What Syne Tune starts for each trial."""
    import torch
    from syne_tune import Reporter

    parser = argparse.ArgumentParser()
    parser.add_argument("--learning_rate", type=float)
    parser.add_argument("--file", type=Path)
    given, _ = parser.parse_known_args()
    torch.set_num_threads(1)
    quality, began, ended = _trial(_prepared(given.file), given.learning_rate, 0)
    Reporter()(quality=quality, began=began, ended=ended)


if __name__ == "__main__":
    _syne_tune_trial()
