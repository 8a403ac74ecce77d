"""Uniform random numbers of a member: its own ones also where several are stepped together."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

Source = Callable[[torch.Size, torch.dtype], Tensor]
"""Gives the next random numbers in [0, 1) of one member, in a shape."""

_sources: ContextVar[Sequence[Source]] = ContextVar("sources")


@contextmanager
def each_from(sources: Sequence[Source]) -> Iterator[None]:
    """Meanwhile, numbers under ``vmap`` come from the source at the place of each in the stack."""
    token = _sources.set(sources)
    try:
        yield
    finally:
        _sources.reset(token)


def uniform_like(tensor: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Numbers in [0, 1) in the shape of a tensor, from torch's global generator of the CPU.

    So they are the same on every device. Those of half precision would be too few: they are drawn
    in single. Under ``vmap`` the members of the stack draw them one after the other, each from its
    source.
    """
    numbers: Tensor = _Uniform.apply(tensor.detach())  # type: ignore[no-untyped-call]
    return numbers


@final
class _Uniform(torch.autograd.Function):
    """Draws, with a rule for ``vmap``."""

    @staticmethod
    def forward(like: Tensor) -> Tensor:
        return torch.rand(like.shape, dtype=_drawn(like)).to(like.device)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int], like: Tensor) -> tuple[Tensor, int]:
        shape = like.movedim(in_dims[0], 0).shape[1:]
        drawn = [draw(shape, _drawn(like)) for draw in _sources.get()]
        return torch.stack(drawn).to(like.device), 0


def _drawn(like: Tensor) -> torch.dtype:
    return torch.promote_types(like.dtype, torch.float32)
