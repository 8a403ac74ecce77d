"""Members of one shape that train together: each step of all of them is one call."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from math import inf
from statistics import median
from time import perf_counter
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, vmap

from trainables.member import Member
from trainables.stacked_adamw import StackedAdamW
from trainables.step_plan import StepPlan
from trainables.uniform import each_from


@final
class Pack:
    """Stacks the weights and buffers of members and steps all of them at once.

    Each keeps its own optimiser, randomness, data order and values of options, and trains as it
    would alone, up to rounding. The tensors of the members become views into the stacks, so that a
    member can be judged, saved, restored, or trained on alone at any time.

    Args:
        members: of equal shape, see :attr:`trainables.member.Member.shape`, on the same points.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = tuple(members)
        learners = [member.learner for member in members]
        self._learner = learners[0]
        self._optimizer = StackedAdamW([member.optimizer for member in members])
        named = list(self._learner.named_parameters())
        self._trained = [name for name, weight in named if weight.requires_grad]
        self._constant = _stacks(learners, [n for n, w in named if not w.requires_grad])
        self._constant |= _stacks(learners, [name for name, _ in self._learner.named_buffers()])

    def train_epoch(self) -> list[float]:
        """Trains one epoch and returns the mean loss of each member, finite or not.

        Raises:
            RuntimeError: if the members cannot be stepped together; see :func:`torch.func.vmap`.
        """
        with self._own_randomness():
            losses = [self._step(plan) for plan in self._begin_epoch()]
        return [
            member.end_epoch(list(of_member))
            for member, of_member in zip(self.members, torch.stack(losses, 1), strict=True)
        ]

    def try_steps(self, most: int) -> list[float]:
        """Seconds of the first steps of an epoch; what has learned here is not to be trained on."""
        seconds = []
        with self._own_randomness():
            for plan in self._begin_epoch()[:most]:
                began = perf_counter()
                self._step(plan)
                seconds.append(perf_counter() - began)
        return seconds

    def _own_randomness(self) -> AbstractContextManager[None]:
        return each_from([member.uniform for member in self.members])

    def _begin_epoch(self) -> list[StepPlan]:
        """The steps of the next epoch, with the plans of all members stacked."""
        each = [member.begin_epoch() for member in self.members]
        return StepPlan(*(torch.stack(part, 1) for part in zip(*each, strict=True))).steps()

    def _step(self, plan: StepPlan) -> Float[Tensor, " members"]:
        views = Member.stacked_views(self.members, plan)
        stacks = self._optimizer.stacks()
        losses: Tensor = vmap(self._loss)(
            {**dict(zip(self._trained, stacks, strict=True)), **self._constant},
            views,
            plan.on(views[0].device),
        )
        self._optimizer.step(torch.autograd.grad(losses.sum(), stacks, allow_unused=True))
        return losses.detach()

    def _loss(self, tensors: dict[str, Tensor], views: list[Tensor], plan: StepPlan) -> Any:
        return functional_call(self._learner, tensors, (views, plan))


def seconds_together(members: Sequence[Member], steps: int) -> float:
    """Median seconds of a step of members as one; infinite where that cannot be.

    Of the steps that are tried the first is not counted, for it also pays for what is only done
    once. The members learn from all of them.
    """
    try:
        seconds = Pack(members).try_steps(steps)
    except Exception:  # vmap knows no rule, or a component raises
        return inf
    return median(seconds[1:] or seconds)


def _stacks(learners: Sequence[nn.Module], names: Sequence[str]) -> dict[str, Tensor]:
    """Copies tensors of the same name into one, and makes them views of it."""
    stacks = {}
    for name in names:
        owner, _, own = name.rpartition(".")
        tensors = [getattr(learner.get_submodule(owner), own) for learner in learners]
        stacks[name] = torch.stack([tensor.detach() for tensor in tensors])
        for tensor, place in zip(tensors, stacks[name], strict=True):
            tensor.data = place
    return stacks
