"""The code inside a model, run on models of images that no study trained."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from tests.trainables.trials import BATCH, CONVOLUTIONAL, DEFAULT
from trainables.configuration import Configuration
from trainables.model import GroupModel

SHAPE = (1, 16, 16)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A model of images, loaded as MLflow loads it, and the model itself."""
    from mlflow.pyfunc.model import PythonModelContext

    from study.served import GroupEmbeddings

    folder = tmp_path_factory.mktemp("artifacts")
    nested = {**DEFAULT, **CONVOLUTIONAL, "training": BATCH}
    model = GroupModel(Configuration.from_nested(nested), SHAPE, True).eval()
    content = {"configuration": nested, "shape": SHAPE, "unit_length": True}
    (folder / "configuration.json").write_text(json.dumps(content))
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, folder / "weights.safetensors")
    loaded = GroupEmbeddings()
    artifacts = {path.stem: str(path) for path in folder.iterdir()}
    loaded.load_context(PythonModelContext(artifacts, None))
    return loaded, model


@pytest.mark.parametrize("form", [(256,), (16, 16), SHAPE])
def test_images_are_embedded_alike_however_they_are_written(served, form):
    loaded, model = served
    images = torch.rand(3, 2, *SHAPE)
    with torch.no_grad():
        expected = model(images, torch.ones(3, 2, dtype=torch.bool))
    found = loaded.predict(None, pd.DataFrame({"points": images.view(3, 2, *form).tolist()}))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_an_aggregator_outside_the_hull_gives_distances_and_no_certificate(served):
    loaded, model = served
    images = torch.rand(3, 2, *SHAPE)
    table = pd.DataFrame({"points": images.tolist()})
    pairs = loaded.predict(None, table, {"answer": "pairs", "first": [2], "second": [0]})
    embeddings = loaded.predict(None, table)
    expected = np.linalg.norm(embeddings[2].astype(float) - embeddings[0])
    (row,) = pairs.to_dict("records")
    assert row.pop("distance") == pytest.approx(expected, rel=1e-6)
    assert row == {"first": 2, "second": 0, "bound": None, "certified_different": None}


def test_an_unknown_answer_is_refused(served):
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match="answer must be embeddings or pairs, got 'groups'"):
        served[0].predict(None, pd.DataFrame({"points": []}), {"answer": "groups"})
