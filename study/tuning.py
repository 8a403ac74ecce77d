"""Ray Tune as the engine of a study: a tuner for its packs, and another when that breaks down."""

import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any, final

import ray
from ray import tune
from ray.exceptions import RayError
from ray.tune import Callback

from study.check import Study
from study.cluster import GIB
from study.conductor import Conductor
from study.config import BudgetSection
from study.errors import ClusterError
from study.search import PackScheduler, PackSearcher
from trainables.limits import Limits
from trainables.trainable import PackTrainable


@final
class Engine:
    """Runs the packs of a conductor until it is finished.

    Args:
        study: what is run.
        conductor: hands out packs.
        shared: the part of a pack's configuration that is the same for all.
        concurrent: packs at once.
        on_step: called after every event of Tune's.
    """

    def __init__(
        self,
        study: Study,
        conductor: Conductor,
        shared: dict[str, Any],
        concurrent: int,
        on_step: Callable[[], None],
    ) -> None:
        self._study, self._conductor, self._shared = study, conductor, shared
        self._concurrent, self._on_step = concurrent, on_step

    def run(self) -> None:
        """Returns when the conductor is finished.

        Tune gives up a whole experiment at some faults, such as a worker that Ray killed for its
        memory. Its own state is of no use to us: the next tuner runs what is left.

        Raises:
            ClusterError: if the cluster is gone.
        """
        while not self._conductor.is_finished:
            try:
                self._tune()
            except Exception as error:
                # Each breakdown counts against the trials that ran, so there are not many of them.
                if not self._conductor.running:
                    raise
                self._lose_all(error)

    def _lose_all(self, error: Exception) -> None:
        try:
            ray.cluster_resources()
            self._conductor.end_all()
        except RayError as gone:
            raise ClusterError("Ray", [f"the cluster is lost: {error}"]) from gone

    def _tune(self) -> None:
        budget = self._study.config.budget
        shared = {**self._shared, "gpus": budget.gpus_per_pack}
        with tempfile.TemporaryDirectory(prefix="study-") as folder:
            tuner = tune.Tuner(
                tune.with_resources(self._trainable(), partial(_resources, budget)),
                tune_config=tune.TuneConfig(
                    search_alg=PackSearcher(self._conductor, shared, self._concurrent),
                    scheduler=PackScheduler(self._conductor),
                    num_samples=-1,
                    reuse_actors=True,
                    trial_dirname_creator=str,
                ),
                run_config=tune.RunConfig(
                    name="packs",
                    # Nothing is kept there; other nodes do not even see it.
                    storage_path=folder,
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                    callbacks=[_Events(self._conductor, self._after_event)],
                    verbose=0,
                ),
            )
            tuner.fit()

    def _after_event(self) -> None:
        with self._conductor.called_by_tune():
            self._conductor.settle()
            self._on_step()

    def _trainable(self) -> Any:
        budget = self._study.config.budget
        return tune.with_parameters(
            PackTrainable,
            study=self._study.data,
            rules=self._study.rules,
            threads=budget.cpus_per_pack,
            is_stacked=budget.stacked == "auto",
            limits=_limits(budget, self._concurrent),
        )


@final
class _Events(Callback):
    """Tells the conductor which packs have started, and calls a function after every event."""

    def __init__(self, conductor: Conductor, on_step: Callable[[], None]) -> None:
        self._conductor, self._on_step = conductor, on_step

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._conductor.started(trial.trial_id)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._on_step()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks."""
        return {}


def _resources(budget: BudgetSection, pack: dict[str, Any]) -> tune.PlacementGroupFactory:
    memory = budget.memory_gib_per_pack
    needed = {"CPU": float(budget.cpus_per_pack), "GPU": float(pack["gpus"])}
    return tune.PlacementGroupFactory([needed | ({"memory": memory * GIB} if memory else {})])


def _limits(budget: BudgetSection, concurrent: int) -> Limits:
    """Limits of one trial; trials that run at once share the disk for checkpoints equally."""
    minutes, memory, disk = budget.trial_minutes, budget.memory_gib_per_pack, budget.checkpoint_gib
    return Limits(
        seconds=None if minutes is None else 60 * minutes,
        memory=None if memory is None else int(memory * GIB),
        checkpoint=None if disk is None else int(disk * GIB / (concurrent * budget.pack)),
    )
