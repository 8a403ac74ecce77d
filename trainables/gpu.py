"""The GPU that Ray gives a process: which it is, and how much of its memory a pack takes."""

from collections.abc import Sequence
from contextlib import suppress
from math import isinf
from typing import Any

import torch

from trainables.configuration import Configuration
from trainables.device import CPU
from trainables.judging import Judge
from trainables.limits import is_out_of_memory
from trainables.member import Member, TrainingError
from trainables.pack import seconds_together
from trainables.tasks import Rules, StudyData

STEPS = 3
BESIDES = 1 << 30
"""Bytes that a process takes besides its tensors: the context of CUDA and its libraries."""
RESERVE = 1.25
"""Of what a try has taken: other configurations of a space may take a little more."""
FINENESS = 10_000
"""Ray knows shares of a GPU with four digits."""


def claimed(numbers: Sequence[int | str]) -> torch.device:
    """The first GPU that this process sees, or the CPUs where Ray has given it none.

    Args:
        numbers: of the GPUs that Ray has given.

    Raises:
        RuntimeError: if torch cannot use it.
    """
    if not numbers:
        return CPU
    if not torch.cuda.is_available():
        raise RuntimeError(
            f"Ray gives a GPU that torch {torch.__version__} of this node cannot use; install a "
            "build of torch for it there, or set budget.gpus_per_pack: 0"
        )
    return torch.device("cuda", torch.cuda.current_device())


def cap_memory(device: torch.device, share: float) -> None:
    """Lets allocations fail beyond a share of the GPU, rather than those of who shares it."""
    if device.type == "cuda":
        besides = BESIDES / torch.cuda.get_device_properties(device).total_memory
        allowed = min(1.0, max(share / 2, share - besides))
        torch.cuda.set_per_process_memory_fraction(allowed, device)


def share_of(peak: int, total: int) -> float:
    """The share of a GPU for a pack, so that as many as possible fit; 1 where only one does.

    Args:
        peak: bytes that the tensors of a pack took.
        total: bytes of the GPU.
    """
    packs = max(1, int(total / (RESERVE * peak + BESIDES)))
    return FINENESS // packs / FINENESS


def measured_peak(
    configurations: Sequence[dict[str, Any]],
    study: StudyData,
    rules: Rules,
    trials: int,
    is_stacked: bool,
    device: torch.device,
) -> tuple[int, int]:
    """Most bytes that the tensors of a pack took on a GPU, and the bytes that it has.

    What does not fit takes all of it. Points that fit into a quarter of the GPU are among them.

    Args:
        configurations: each as ``Configuration.nested``; a pack of every one is tried.
        study: its data.
        rules: how trials are judged.
        trials: of a pack.
        is_stacked: whether their members may be stepped as one.
        device: the GPU.

    Raises:
        Exception: whatever a component raises, if no pack could be tried.
    """
    total, errors = torch.cuda.get_device_properties(device).total_memory, []
    for configuration in configurations:
        try:
            try_pack(configuration, study, rules, trials, is_stacked, device)
        except Exception as error:  # in the study only a trial will fail for it
            if is_out_of_memory(error):
                return total, total
            errors.append(error)
        torch.cuda.empty_cache()
    if len(errors) == len(configurations):
        raise errors[0]
    return torch.cuda.max_memory_reserved(device), total


def try_pack(
    configuration: dict[str, Any],
    study: StudyData,
    rules: Rules,
    trials: int,
    is_stacked: bool,
    device: torch.device,
) -> None:
    """Takes some steps of a pack of equal trials, and validates one of them."""
    parsed = Configuration.from_nested(configuration)
    members = [
        Member(parsed, study.points, fold.train, seed, rules.unit_length, device)
        for seed in range(trials)
        for fold in study.folds
    ]
    # A packer keeps these too, to go back to.
    before = [member.state() for member in members]
    is_one = is_stacked and members[0].shape is not None
    if not is_one or isinf(seconds_together(members, STEPS)):
        for member in members:
            member.try_steps(STEPS)
    del before
    models = [member.model for member in members[: len(study.folds)]]
    with suppress(TrainingError):  # of a configuration at the edge of its space
        Judge(study, rules, "search").quality(models)
