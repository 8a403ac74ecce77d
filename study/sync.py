"""Brings MLflow up to date with a study's record: ``study sync``, and what following shares."""

from typing import TYPE_CHECKING

from study.addresses import reason, without_secrets
from study.errors import StudyError, TrackingError
from study.projection import is_whole, of_study, of_trial
from study.record import Record, Result
from study.tracking_server import address, exclusive, settings

if TYPE_CHECKING:
    from study.mirror import Mirror


def sync(record: Record, uri: str | None) -> str:
    """Brings MLflow up to date with a record; doing it twice changes nothing.

    Args:
        record: of the study.
        uri: tracking address, instead of the study's own.

    Returns:
        One sentence about what MLflow holds.

    Raises:
        TrackingError: if the address is malformed, or nobody answers there.
        RecordError: if the study's driver is at work, which keeps MLflow up to date itself.
    """
    chosen = address(record, uri)
    from study.mirror import Mirror

    results = record.results()
    try:
        with settings(), exclusive(record):
            mirror = Mirror(record, chosen)
            mirror.write(of_study(record, results, is_at_work=False))
            write(mirror, record, {result.trial.key: result for result in results})
            models = close(mirror, record, results)
    except StudyError:
        raise
    except Exception as error:
        problem = f"{without_secrets(chosen)} cannot be written: {reason(error)}"
        raise TrackingError(record.folder, [problem]) from error
    where = without_secrets(chosen)
    return f"{record.folder}: {len(mirror)} runs and {models} models up to date in {where}"


def write(mirror: "Mirror", record: Record, waiting: dict[str, Result]) -> None:
    """Writes the trials that wait, in their order; those that are written wait no longer.

    A confirmation hangs below its trial, which is always published, and so written, before it.
    """
    for key in list(waiting):
        result = waiting.pop(key)
        try:
            mirror.write(of_trial(record, result), record.files(result))
        except Exception:
            # At the end of the queue, so that one trial can never keep all others waiting.
            waiting[key] = result
            raise


def close(mirror: "Mirror", record: Record, results: list[Result]) -> int:
    """Ends the run of a study, and logs its models if it is whole; returns how many models.

    The run first: a server of another version may know no models.
    """
    from study.group_model import log_models
    from study.registry import register

    mirror.write(of_study(record, results, is_at_work=False))
    if not is_whole(record, results):
        return 0
    models = log_models(mirror, record, results)
    register(mirror, record, results, models)
    return len(models)
