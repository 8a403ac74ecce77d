from collections.abc import Iterator
from math import ceil, prod, sqrt
from typing import Annotated, Any, NamedTuple, final

import torch
from annotated_types import Gt, Le
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from trainables.contracts import Encoder, EncoderOutput, Search

ROOM = 1 - 1e-6
"""Of the bound: the rest is for the rounding of a float32 factor."""


@final
class LipschitzWrapper(Encoder):
    """Shrinks the embedding until the encoder stretches no distance by more than a bound.

    ``g(x) = f(x) min(1, bound / L)`` where L is the product of the constants of the layers of the
    wrapped f, so ``|g(x) - g(y)| <= bound |x - y|`` in Euclidean norm. The constant of an affine
    map is its largest singular value; that of a convolution at most ``sqrt(n)`` times the one of
    its kernel with a row per output map, where no number is in more than n windows, and ``sqrt(n)``
    is that of max-pooling: Tsuzuku, Sato and Sugiyama (2018), "Lipschitz-margin training". Batch
    normalisation multiplies the rows of the convolution before it; Gouk et al. (2021),
    "Regularisation of neural networks by enforcing Lipschitz continuity". ReLU has 1.

    In evaluation singular values are exact, so the bound holds. In training they are estimated from
    below by a step of the power iteration, whose vector is kept; Miyato et al. (2018), "Spectral
    normalization for generative adversarial networks", algorithm 1.

    Args:
        encoder: what is wrapped; it is a chain of layers, and its width is kept.
        bound: largest distance of two embeddings per unit of distance of their points.
    """

    certifies = True
    bound: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        bound: Annotated[float, Gt(0), Le(1e6), Search(0.3, 10.0, log=True)] = 1.0,
    ) -> None:
        super().__init__(encoder.shape, encoder.width)
        self.encoder = encoder
        self.register_buffer("bound", torch.tensor(bound))
        # The exact vectors: from random ones the estimate would begin far too low.
        for place, matrix in enumerate(_linear(encoder).matrices):
            left = torch.linalg.svd(matrix.detach(), full_matrices=False).U[:, 0]
            self.register_buffer(f"left_{place}", left.contiguous())

    @classmethod
    def refuses(cls, encoder: Any) -> str | None:
        """Why an encoder of this class cannot be wrapped, or None where it can."""
        if encoder.is_chain:
            return None
        name = encoder.__module__.rpartition(".")[2]
        return (
            f"lipschitz needs an encoder whose layers follow one another and have known constants, "
            f"and {name} is none; use linear, mlp or conv4"
        )

    def forward(self, points: Float[Tensor, "batch *shape"]) -> EncoderOutput:
        embedding = self.encoder(points).embedding
        constant = self._estimated() if self.training else self._exact()
        bound = ROOM * self.bound
        # Never a quotient by 0, which a map that is 0 would make.
        factor = bound / torch.maximum(constant, bound)
        return EncoderOutput(embedding * factor.to(embedding.dtype))

    @torch.no_grad()
    def lipschitz(self) -> float:
        """The constant in evaluation: ``min(L, bound)``."""
        return float(self._exact().clamp_max(self.bound))

    def _exact(self) -> Float[Tensor, ""]:
        """An upper bound on the constant of the wrapped encoder, in float64."""
        chain = _linear(self.encoder)
        constant = torch.full_like(self.bound, chain.factor, dtype=torch.float64)
        for matrix in chain.matrices:
            # What is not finite is refused when the embeddings are seen.
            finite = matrix.double().nan_to_num(0, 0, 0)
            constant = constant * torch.linalg.matrix_norm(finite, ord=2)
        return constant

    def _estimated(self) -> Float[Tensor, ""]:
        """The same from below, and with a gradient that is cheap; moves the vectors on."""
        chain = _linear(self.encoder)
        constant = torch.full_like(self.bound, chain.factor)
        for place, matrix in enumerate(chain.matrices):
            left = self.get_buffer(f"left_{place}")
            right = normalize(matrix.detach().T @ left, dim=0)
            image = matrix @ right
            found = image.detach()
            # A map that is 0 leaves the vector, which could never leave 0.
            left.copy_(torch.where((found == 0).all(), left, normalize(found, dim=0)))
            constant = constant * (left.clone() @ image)
        return constant


class _Chain(NamedTuple):
    """Maps whose product of constants is that of an encoder: matrices, and a factor beside them."""

    matrices: list[Tensor]
    factor: float


def _linear(encoder: Encoder) -> _Chain:
    """The linear maps of an encoder, in their order, as they are in evaluation.

    Raises:
        TypeError: if a layer has no known constant.
    """
    matrices: list[Tensor] = []
    factor = 1.0
    for layer in _layers(encoder):
        match layer:
            case nn.Linear():
                matrices.append(layer.weight)
            case nn.Conv2d(groups=1, dilation=(1, 1), padding_mode="zeros"):
                repeats = _windows(layer.kernel_size, layer.stride)
                matrices.append(sqrt(repeats) * layer.weight.flatten(1))
            case nn.BatchNorm2d(affine=True, track_running_stats=True) if matrices:
                deviation = torch.sqrt(layer.get_buffer("running_var") + layer.eps)
                matrices[-1] = matrices[-1] * (layer.weight / deviation)[:, None]
            case nn.MaxPool2d(dilation=1):
                factor *= sqrt(_windows(_pair(layer.kernel_size), _pair(layer.stride)))
            case nn.ReLU() | nn.Flatten():
                pass
            case _:
                raise TypeError(f"{layer} has no known Lipschitz constant")
    return _Chain(matrices, factor)


def _layers(encoder: Encoder) -> Iterator[nn.Module]:
    """Modules of an encoder that compute something themselves."""
    if not encoder.is_chain:
        raise TypeError(f"{type(encoder).__name__} is no chain of layers")
    for module in encoder.modules():
        if module is not encoder and not isinstance(module, nn.Sequential | nn.ModuleList):
            yield module


def _windows(sides: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """In how many windows a number can be."""
    return prod(ceil(side / stride) for side, stride in zip(sides, strides, strict=True))


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)
