"""A model in MLflow, as code: groups of points in, group embeddings or certified pairs out.

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
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from safetensors.torch import load_file

from trainables.bounds import pair_distances
from trainables.certificates import Reference, certificates
from trainables.configuration import Configuration
from trainables.contracts import HullAggregator
from trainables.group_reading import GroupError, Padded, padded_groups
from trainables.model import GroupModel
from trainables.named_pairs import named_pairs


@final
class GroupEmbeddings(PythonModel):
    """One row per group: ``points``, a list of points; groups may differ in length."""

    def load_context(self, context: PythonModelContext) -> None:
        content = json.loads(Path(context.artifacts["configuration"]).read_text())
        self._shape = tuple(content["shape"])
        configuration = Configuration.from_nested(content["configuration"])
        self._model = GroupModel(configuration, self._shape, content["unit_length"]).eval()
        self._model.load_state_dict(load_file(context.artifacts["weights"]))
        kept = context.artifacts.get("reference")
        self._reference = Reference(**load_file(kept)) if kept else None

    @torch.no_grad()
    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> npt.NDArray[np.float32] | pd.DataFrame:
        """Group embeddings, one row for each group; or pairs of groups, one row for each pair.

        Pairs have the columns ``first`` and ``second`` (rows of the request), ``distance`` and
        ``bound`` (embedding units) and ``certified_different``, see
        :class:`trainables.certificates.Certificates`. The last two are None where the model has no
        reference, as it was not confirmed or the theorem does not cover its aggregator.

        Args:
            context: of the model.
            model_input: column ``points``: for each group a list of flat points, or of points
                nested as the model's shape is.
            params: ``answer``: ``embeddings`` or ``pairs``; ``first`` and ``second``: the groups of
                each pair, all pairs where they are empty.

        Raises:
            MlflowException: of a bad request, answered with HTTP 400: names rows and remedies.
        """
        asked = params or {}
        answer = asked.get("answer", "embeddings")
        try:
            if answer not in ("embeddings", "pairs"):
                raise GroupError(f"answer must be embeddings or pairs, got {answer!r}")
            groups = padded_groups(model_input["points"], self._shape)
            if answer == "embeddings":
                embeddings: npt.NDArray[np.float32] = self._model(*groups).numpy()
                return embeddings
            named = asked.get("first", []), asked.get("second", [])
            return self._pairs(groups, named_pairs(*named, len(groups[1])))
        except GroupError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error

    def _pairs(self, groups: Padded, pairs: tuple[torch.Tensor, torch.Tensor]) -> pd.DataFrame:
        members, mask = self._model.members(*groups), groups[1]
        aggregator = self._model.aggregator
        if self._reference is not None and isinstance(aggregator, HullAggregator):
            weights = aggregator.weights(members, mask)
            found = vars(certificates(self._reference, members, mask, weights, pairs))
            return pd.DataFrame({name: values.numpy() for name, values in found.items()})
        distance = pair_distances(aggregator(members, mask).double(), *pairs).numpy()
        columns = {"first": pairs[0].numpy(), "second": pairs[1].numpy(), "distance": distance}
        nothing = pd.Series([None] * len(distance), dtype=object)
        return pd.DataFrame({**columns, "bound": nothing, "certified_different": nothing})


set_model(GroupEmbeddings())
