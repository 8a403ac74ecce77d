import ctypes
import os
import time
from typing import Annotated, Literal, final

import torch
from annotated_types import Ge, Le
from jaxtyping import Bool, Float
from torch import Tensor

from trainables.contracts import HullAggregator, Search

HOUR = 3600
CHUNK_BYTES = 1 << 28
MOST_CHUNKS = 24


@final
class FaultyAggregator(HullAggregator):
    """The mean, with a fault in some trials: for tests of what a study makes of it.

    Args:
        width: floats per embedding, unchanged.
        fault: what happens as soon as it trains.
        chance: it happens only below 0.5.
    """

    def __init__(
        self,
        width: int,
        *,
        fault: Literal["none", "raise", "nan", "exit", "die", "hang", "hold", "memory"] = "none",
        chance: Annotated[float, Ge(0), Le(1), Search(0.0, 1.0)] = 1.0,
    ) -> None:
        super().__init__(width)
        self._fault = fault if chance < 0.5 else "none"

    def weights(
        self, embeddings: Float[Tensor, "groups points width"], mask: Bool[Tensor, "groups points"]
    ) -> Float[Tensor, "groups points"]:
        real = mask.to(embeddings.dtype)
        if self.training:
            real = real * _happen(self._fault)
        return real / real.sum(1, keepdim=True)


def _happen(fault: str) -> float:
    match fault:
        case "raise":
            raise RuntimeError("a fault of the component")
        case "nan":
            return float("nan")
        case "exit":
            raise SystemExit(0)
        case "die":
            os.kill(os.getpid(), 9)
        case "hang":
            time.sleep(HOUR)
        case "hold":
            # Keeps the interpreter's lock: no other thread of the process runs any more.
            ctypes.PyDLL(None).sleep(HOUR)
        case "memory":
            kept = [torch.ones(CHUNK_BYTES, dtype=torch.uint8) for _ in range(MOST_CHUNKS)]
            time.sleep(HOUR * bool(kept))
    return 1.0
