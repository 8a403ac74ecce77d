"""The model of a trial that is put into service: its first member's, as the record has it."""

from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from study import products
from study.record import Record, Result
from trainables.configuration import Configuration
from trainables.model import GroupModel
from trainables.program import ProgramError, program

PROGRAM = (
    "`model.pt2`, the first member of the same trial as a program of torch.export: `(points "
    "[groups, points, {shape}], mask [groups, points]) -> [groups, {width}]`; load it as data you "
    "trust only, with `torch.export.load`."
)


class FirstModel(NamedTuple):
    """What makes a model anew.

    ``content`` has ``configuration`` (nested), ``shape`` of a point and ``unit_length``;
    ``weights`` are by parameter; ``example`` holds ``points`` and ``embeddings``, which it must
    reproduce, and ``reference`` the tensors of a :class:`trainables.certificates.Reference`, if
    there is one.
    """

    content: dict[str, Any]
    weights: dict[str, Tensor]
    example: dict[str, Tensor]
    reference: dict[str, Tensor] | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one point."""
        return tuple(self.content["shape"])

    def build(self) -> GroupModel:
        """The model itself, in evaluation mode."""
        configuration = Configuration.from_nested(self.content["configuration"])
        model = GroupModel(configuration, self.shape, self.content["unit_length"]).eval()
        model.load_state_dict(self.weights)
        return model


def first_model(record: Record, result: Result) -> FirstModel:
    """The model of the first member of a complete trial that was trained.

    Raises:
        RecordError: if its files are missing or damaged.
    """
    weights = products.tensors(record, result, "weights")
    example = products.tensors(record, result, "example")
    has_reference = (record.files(result) / "reference.safetensors").exists()
    return FirstModel(
        content={
            "configuration": result.trial.configuration,
            "shape": list(example["points"].shape[2:]),
            "unit_length": record.config.protocol.normalize,
        },
        weights={name[2:]: tensor for name, tensor in weights.items() if name.startswith("0.")},
        example=example,
        reference=products.tensors(record, result, "reference") if has_reference else None,
    )


def write_program(found: FirstModel, file: Path) -> str:
    """Writes the model as ``model.pt2`` where it can be exported; returns what a card tells of it.

    The file holds tensors and a graph in JSON, and no pickle: the inputs it was traced with, which
    torch would pickle, are left out.
    """
    model = found.build()
    try:
        # Torch writes the whole graph there when it refuses one.
        with redirect_stderr(StringIO()):
            traced = program(model, found.shape)
    except ProgramError as error:
        return f"No `model.pt2`: this model cannot be exported ({error})."
    traced.example_inputs = None
    torch.export.save(traced, file)
    shape = ", ".join(map(str, found.shape))
    return PROGRAM.format(shape=shape, width=found.example["embeddings"].shape[1])
