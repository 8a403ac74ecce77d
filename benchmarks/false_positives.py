"""How often studies of simulated qualities show a difference: where there is none, where there is.

    python benchmarks/false_positives.py

Test qualities are normal; a part of their spread may be shared by all combinations on a seed.
Printed are shares of studies that show any difference between identical combinations, that find a
true difference of one point at the number of seeds recommended, and that tell identical
combinations apart across data sets. 95 of 100 such shares of 1,000 studies lie within 1.4
percentage points of 5%, and within 2.5 of 80%.
"""

import gc
from collections.abc import Callable

import click
import numpy as np
import pandas as pd

from analysis.across_studies import across_studies
from analysis.seeds_needed import STATED, recommended, seeds_needed
from analysis.significance import are_different, pairs

DEVIATION = 0.005
"""Of the difference of two combinations on one seed."""


@click.command()
@click.option("--studies", default=1000, help="Simulated studies for each line.")
@click.option("--seed", default=0)
def main(studies: int, seed: int) -> None:
    """Simulates studies and prints what they show."""
    # Every correction collects garbage: what is imported need not be looked at each time.
    gc.freeze()
    random = np.random.default_rng(seed)

    def line(words: str, shows: Callable[[], bool]) -> None:
        click.echo(f"{np.mean([shows() for _ in range(studies)]):7.1%}  {words}")

    click.echo(f"{studies} studies of identical combinations, difference shown:")
    for arms, seeds, shared in [(2, 3, 0), (2, 5, 0), (2, 5, 0.01), (2, 10, 0), (4, 5, 0.01)]:
        line(
            f"{arms} combinations, {seeds} seeds, {shared} of spread shared",
            lambda arms=arms, seeds=seeds, shared=shared: bool(
                are_different(pairs(_qualities(random, arms, seeds, shared)))
            ),
        )
    click.echo(f"a true difference of {STATED}, differences with deviation {DEVIATION}, found:")
    for arms in (2, 4, 6):
        seeds = seeds_needed(STATED, DEVIATION, arms * (arms - 1) // 2)
        line(
            f"{arms} combinations, {seeds} seeds, as recommended for this deviation",
            lambda arms=arms, seeds=seeds: _finds(random, arms, seeds),
        )
    for seen in (3, 5):
        line(
            f"2 combinations, as many seeds as recommended after {seen} seeds",
            lambda seen=seen: _finds(random, 2, _recommended_after(random, seen)),
        )
    click.echo("identical combinations told apart across studies:")
    for arms, count in [(3, 4), (5, 5), (5, 20)]:
        line(
            f"{arms} combinations, {count} studies",
            lambda arms=arms, count=count: _told_apart(random, arms, count),
        )


def _qualities(
    random: np.random.Generator, arms: int, seeds: int, shared: float = 0.0
) -> pd.DataFrame:
    own = random.normal(0, DEVIATION / 2**0.5, (seeds, arms))
    names = [f"combination {place}" for place in range(arms)]
    return pd.DataFrame(0.7 + own + random.normal(0, shared, (seeds, 1)), columns=names)


def _finds(random: np.random.Generator, arms: int, seeds: int) -> bool:
    """Whether the difference of the first two is shown; the others lie between them."""
    true = [STATED, 0.0, *np.linspace(0, STATED, arms)[1:-1]]
    qualities = _qualities(random, arms, seeds) + true
    return frozenset(qualities.columns[:2]) in are_different(pairs(qualities))


def _recommended_after(random: np.random.Generator, seen: int) -> int:
    return int(recommended(pairs(_qualities(random, 2, seen))).loc[0, "seeds"])


def _told_apart(random: np.random.Generator, arms: int, studies: int) -> bool:
    found = across_studies(_qualities(random, arms, studies))
    return found.together != [tuple(found.mean_ranks.index)]


if __name__ == "__main__":
    main()
