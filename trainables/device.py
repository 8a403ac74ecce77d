"""Devices that members train on: CPUs, or one GPU."""

import torch
from torch import Generator, Tensor

CPU = torch.device("cpu")


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on a device; what computes there next waits for it, the CPU does not."""
    if device.type == "cuda" and tensor.device == CPU:
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def generators(device: torch.device) -> list[Generator]:
    """The global generators of what is computed on a device: that of the CPU, then its own."""
    if device.type != "cuda":
        return [torch.default_generator]
    # A device without a number is the first: a pack sees one only.
    return [torch.default_generator, torch.cuda.default_generators[device.index or 0]]


def set_states(shared: list[Generator], states: list[Tensor]) -> None:
    """Has each generator go on from a state."""
    for generator, state in zip(shared, states, strict=True):
        generator.set_state(state)
