"""What a configuration has for the parameters that a combination searches."""

from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import TrialState, create_trial

from study.space import Combination
from trainables.configuration import Configuration


def searched_values(combination: Combination, nested: dict[str, Any]) -> dict[str, Any]:
    """The values of a configuration that a combination's space holds, by flat name.

    A parameter that the configuration does not have, or whose value lies outside of the space, is
    left out.

    Args:
        combination: with the space.
        nested: the configuration, as ``Configuration.nested``.
    """
    configuration = Configuration.from_nested(nested)
    flat = configuration.flat()
    if configuration.views:
        flat["views"] = configuration.views.name
    return {
        name: flat[name]
        for name, space in combination.distributions().items()
        if name in flat and _holds(space, flat[name])
    }


def _holds(space: BaseDistribution, value: Any) -> bool:
    try:
        create_trial(
            state=TrialState.WAITING, params={"value": value}, distributions={"value": space}
        )
    except ValueError:
        return False
    return True
