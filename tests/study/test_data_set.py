"""The data set of a study in MLflow, with what is known of its points."""

import json

import pytest

from study.data_set import of_record
from study.manifest import manifest
from study.record import Record
from tests.study.files import accepted


@pytest.fixture
def record(tmp_path):
    return Record.create(tmp_path / "small", manifest(accepted(tmp_path)))


def test_points_classes_and_shape_are_told(record):
    data = of_record(record)
    sizes = json.loads(data.profile)
    assert data.digest == record.manifest["digests"]["data"][:32]
    assert {"points", "classes", "shape", "search_points", "test_points"} == sizes.keys()
    assert sizes["points"] == sizes["search_points"] + sizes["test_points"]
    (point, label) = json.loads(data.schema)["mlflow_colspec"]
    assert point == {"name": "point", "type": f"float32 [{sizes['shape'][0]}]"}
    assert label == {"name": "label", "type": f"one of {sizes['classes']} classes"}


def test_a_record_of_an_earlier_version_has_a_data_set_without_counts(record):
    del record.manifest["data"]
    data = of_record(record)
    assert data.digest
    assert data.profile is None
    assert data.schema is None
