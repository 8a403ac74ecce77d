"""Every metric that an evaluation finds is told, and nothing is told that none finds."""

import pytest
import torch

from study import metric_meanings
from trainables.aggregators.mean import MeanAggregator
from trainables.evaluation import Protocol, evaluate
from trainables.group_aware import GroupAware
from trainables.input_reading import InputSpace

SIZE = 2


@pytest.fixture(scope="module")
def found():
    """Names of all metrics of an evaluation with everything that may be evaluated."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(4).repeat_interleave(10)
    points = torch.randn(40, 6, generator=generator) + labels[:, None]
    logits = torch.randn(40, 3, generator=generator)
    aggregator, protocol = MeanAggregator(6), Protocol((SIZE,), 1, 0)
    found = evaluate(points, labels, None, aggregator, protocol, InputSpace(points, 1.0))
    group_aware = GroupAware(weight=0.1, exponent=0.5).quality(points, logits, labels)
    return {*found.quality, *found.bound, *group_aware}


def test_exactly_what_is_measured_is_told(found):
    assert metric_meanings.names(SIZE) == found


def test_what_is_told_says_unit_and_direction():
    for meanings in (
        metric_meanings.QUALITY,
        metric_meanings.GROUPS,
        metric_meanings.OVERALL,
        metric_meanings.MEASURED,
        metric_meanings.OF_BOUND,
    ):
        for meaning in meanings.values():
            assert meaning.words
            assert meaning.unit
            assert meaning.better in ("more", "less", "-")
