"""Which configurations are trained again, on fresh seeds, and read on the locked test points."""

from study.config import StudyConfig
from study.proposals import member_seeds
from study.record import Result, Trial


def plan(config: StudyConfig, results: list[Result]) -> list[Trial]:
    """Confirmations of the best complete trials among the search results of one combination."""
    wanted = config.protocol.confirmation
    return [
        Trial(
            key=f"{found.trial.key}-confirm-{repeat}",
            phase="confirmation",
            combination=found.trial.combination,
            number=found.trial.number,
            seeds=member_seeds(
                config.seed, found.trial.combination, found.trial.number, repeat, count=1
            ),
            configuration=found.trial.configuration,
        )
        for found in best(config, results)[: wanted.top]
        for repeat in range(1, 1 + wanted.seeds)
    ]


def best(config: StudyConfig, results: list[Result]) -> list[Result]:
    """Complete search trials by quality, best first; the earlier one first among equals."""
    name = f"val/{config.protocol.quality_name}"
    complete = [
        result
        for result in results
        if result.trial.phase == "search" and result.outcome.state == "complete"
    ]
    return sorted(complete, key=lambda result: (-result.outcome.metrics[name], result.trial.key))
