"""A short try of one configuration: how long the parts of its training take, and what they need."""

import resource
from collections.abc import Callable
from dataclasses import replace
from math import inf
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from trainables.allocation import keep_freed_memory
from trainables.configuration import Configuration
from trainables.judging import Judge
from trainables.member import Member
from trainables.pack import seconds_together
from trainables.tasks import Rules, StudyData

STEPS = 6
SHORT = 5.0
KIBIBYTE = 1 << 10
Result = TypeVar("Result")


class Probe(NamedTuple):
    """What one member of a trial takes on the first fold.

    Args:
        build: seconds until it can train.
        step: seconds of a step of training.
        stacked_step: its share of one that several take as one; no more than alone.
        steps: steps of an epoch.
        validation: seconds of a validation.
        judgement: seconds of the evaluation at the end.
        memory: most bytes of the process.
        own_memory: bytes more that another member beside it takes.
        weights: bytes of the model.
        pairs: bytes of its table of pairs of groups.
    """

    build: float
    step: float
    stacked_step: float
    steps: int
    validation: float
    judgement: float
    memory: int
    own_memory: int
    weights: int
    pairs: int

    @property
    def epoch(self) -> float:
        """Seconds of an epoch alone, without its validation."""
        return self.step * self.steps

    @property
    def stacked_epoch(self) -> float:
        """Seconds of an epoch in a pack, without its validation."""
        return self.stacked_step * self.steps


def probe(
    configuration: dict[str, Any], study: StudyData, rules: Rules, threads: int, stacked: int
) -> Probe:
    """Builds members, takes a few steps and evaluates one; in a process of its own, for its memory.

    Args:
        configuration: as ``Configuration.nested``.
        study: its data.
        rules: how trials are judged.
        threads: of a pack.
        stacked: members that may be stepped as one.

    Raises:
        TrainingError: if the loss is not finite or the embeddings have collapsed.
    """
    torch.set_num_threads(threads)
    keep_freed_memory()
    fold = study.folds[0]
    judge = Judge(replace(study, folds=(fold,)), rules, "search")
    parsed = Configuration.from_nested(configuration)
    build, member = _timed(lambda: Member(parsed, study.points, fold.train, 0, rules.unit_length))
    seconds, steps = member.try_steps(STEPS)
    validation, _ = _timed(lambda: judge.quality([member.model]))
    judgement, judged = _timed(lambda: judge.judge([member.model]))
    memory = peak_memory()
    others = [
        Member(parsed, study.points, fold.train, seed, rules.unit_length)
        for seed in range(1, max(2, stacked))
    ]
    others[0].try_steps(1)
    own_memory = peak_memory() - memory
    # The first step also pays for what is only done once.
    step = median(seconds[1:] or seconds)
    return Probe(
        build=build,
        step=step,
        stacked_step=min(step, _stacked_step([member, *others]) if stacked > 1 else step),
        steps=steps,
        validation=validation,
        judgement=judgement,
        memory=memory,
        own_memory=own_memory,
        weights=sum(t.numel() * t.element_size() for t in member.model.state_dict().values()),
        pairs=_written(judged.evaluations[0].pairs),
    )


def _stacked_step(members: list[Member]) -> float:
    """Seconds of a step of members as one, for each of them; infinite if that cannot be."""
    return inf if members[0].shape is None else seconds_together(members, STEPS) / len(members)


def _written(table: pa.Table) -> int:
    """Bytes of a table in a file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return int(sink.getvalue().size)


def _timed(call: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds of a call and its result; the better of two where it is short.

    The first also pays for what a process does only once.
    """
    began = perf_counter()
    result = call()
    seconds = perf_counter() - began
    if seconds > SHORT:
        return seconds, result
    began = perf_counter()
    result = call()
    return min(seconds, perf_counter() - began), result


def peak_memory() -> int:
    """Most bytes that this process has had in memory.

    Mapped points count as far as they were read, though the machine may take that memory back.
    """
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIBIBYTE
