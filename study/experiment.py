"""A study's experiment in MLflow: its name, its description, and the views of its runs."""

import hashlib
import json

from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, ErrorCode

from study import notes
from study.markdown import plain
from study.record import Record
from study.saved_view import tags
from study.views import views

DIGEST = "study.digest"
TRAINS_MODELS = {"mlflow.experimentKind": "custom_model_development"}
"""What MLflow's pages call an experiment that trains models."""


def opened(client: MlflowClient, record: Record, location: str | None) -> str:
    """The experiment of a study: found by its name, made or restored where it is not there.

    What is said of it is written once for all that a record says; what a user changes stays.

    Args:
        client: of MLflow.
        record: of the study.
        location: folder of its files, where the server does not choose one.
    """
    name = record.config.name
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        experiment = client.get_experiment(client.create_experiment(name, location, TRAINS_MODELS))
    elif experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    _describe(client, record, experiment)
    return str(experiment.experiment_id)


def address(experiment: str) -> str:
    """An experiment's page, on whatever server MLflow's pages are."""
    return f"#/experiments/{experiment}"


def note(record: Record, experiment: str) -> str:
    """What the experiment is, and links to the views of its runs, in Markdown."""
    config, protocol = record.config, record.config.protocol
    links = [
        f"- [{view.name}]({address(experiment)}{view.address}): {view.about}"
        for view in views(config, record.manifest["combinations"])
    ]
    return "\n".join(
        [
            f"Study **{plain(config.name)}**: which encoder, aggregator and loss represent groups "
            f"of points best? {len(record.manifest['combinations'])} combinations, "
            f"{config.budget.trials_per_combination} trials each, on "
            f"{plain(config.data.source or '')}.",
            "",
            *links,
            "",
            "One run is the study's own; below it is a run for each trial, and below the best "
            "trials what was read on the test points. Names begin with the combination: "
            "`encoder+aggregator+loss-number`.",
            "",
            f"`val/{protocol.quality_name}`: quality on validation, by which trials are ranked. "
            f"`test/...`: on the test points, which the search never saw. "
            f"`bound/{protocol.gap_name}`: how far the distances of same-class groups stay below "
            "their bound, in units of the distance of different classes. `bound/certified...`: "
            "share of groups whose retrieval is proven free of errors. `progress/...`: of the "
            "study's own run, by finished trials. Tags `phase`, `state`, `encoder`, `aggregator`, "
            "`loss`, `reason` are there to filter by, as `tags.state = 'failed'`.",
        ]
    )


def _describe(client: MlflowClient, record: Record, experiment: Experiment) -> None:
    number = str(experiment.experiment_id)
    wanted = {
        **tags(views(record.config, record.manifest["combinations"])),
        notes.TAG: note(record, number),
    }
    content = json.dumps(wanted, sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:32]
    if experiment.tags.get(DIGEST) == digest:
        return
    # The digest last: an experiment without it is written again.
    for name, value in {**wanted, DIGEST: digest}.items():
        try:
            client.set_experiment_tag(number, name, value)
        except MlflowException as error:
            # Servers of other versions take shorter tags; what they hold is a convenience.
            if error.error_code != ErrorCode.Name(INVALID_PARAMETER_VALUE):
                raise
