"""Addresses of MLflow's pages that show a study with the right columns, to be pasted or clicked."""

from study.tracking_server import knock, settings

SHOWN = 10
VIEWS = {"best trials": ("study-best", False), "charts": ("study-charts", True)}


def links(server: str, uri: str) -> list[str]:
    """A line for each page of the studies in a database, the latest study first.

    Args:
        server: where the pages are served, with a slash at its end.
        uri: of the database behind it.

    Returns:
        Nothing where the database does not answer: that is for the server to say.
    """
    try:
        with settings():
            knock(uri)
            return _of_studies(server, uri)
    except Exception:
        return []


def _of_studies(server: str, uri: str) -> list[str]:
    from mlflow import MlflowClient

    from study.experiment import DIGEST, address
    from study.saved_view import opened_at

    known = MlflowClient(uri).search_experiments(order_by=["last_update_time DESC"])
    studies = [experiment for experiment in known if DIGEST in experiment.tags]
    return [
        f"{experiment.name}, {name}: {server}{address(experiment.experiment_id)}"
        f"{opened_at(key, has_charts=has_charts)}"
        for experiment in studies[:SHOWN]
        for name, (key, has_charts) in VIEWS.items()
    ]
