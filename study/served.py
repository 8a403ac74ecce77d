"""A model in MLflow, as code: groups of points in, group embeddings out.

MLflow copies this file into the model and runs it where the model is loaded; weights and
configuration are read from the model's artifacts, and nothing is pickled.
"""

import json
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from safetensors.torch import load_file
from torch.nn.utils.rnn import pad_sequence

from trainables.configuration import Configuration
from trainables.model import GroupModel


@final
class GroupEmbeddings(PythonModel):
    """One row per group: ``points``, a list of flat points; groups may differ in length."""

    def load_context(self, context: PythonModelContext) -> None:
        content = json.loads(Path(context.artifacts["configuration"]).read_text())
        self._shape = tuple(content["shape"])
        configuration = Configuration.from_nested(content["configuration"])
        self._model = GroupModel(configuration, self._shape, content["unit_length"]).eval()
        self._model.load_state_dict(load_file(context.artifacts["weights"]))

    @torch.no_grad()
    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Group embeddings, one row for each group.

        Raises:
            ValueError: if a group has no points, or points of another size than the model's.
        """
        groups = [self._group(row, points) for row, points in enumerate(model_input["points"])]
        mask = pad_sequence([torch.ones(len(group), dtype=torch.bool) for group in groups], True)
        embeddings: npt.NDArray[np.float32] = self._model(pad_sequence(groups, True), mask).numpy()
        return embeddings

    def _group(self, row: int, points: Any) -> torch.Tensor:
        values = [np.asarray(point, np.float32) for point in points]
        size = int(np.prod(self._shape))
        if not values or any(value.shape != (size,) for value in values):
            raise ValueError(f"row {row}: a group must be one or more points of {size} numbers")
        return torch.from_numpy(np.stack(values)).view(-1, *self._shape)


set_model(GroupEmbeddings())
