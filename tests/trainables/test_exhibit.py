import numpy as np
import pytest
import torch

from trainables import catalogue, exhibit
from trainables.data import point_set
from trainables.evaluation import Protocol, drawn
from trainables.margin import margin

CLASSES, EACH, SIZE = 5, 8, 2


@pytest.fixture
def shown():
    """What is seen of images that are their own embeddings; the first rows are not held out."""
    points = np.random.default_rng(0).integers(0, 256, (CLASSES * EACH + 3, 1, 2, 2), np.uint8)
    labels = np.r_[[0, 0, 0], np.repeat(np.arange(CLASSES), EACH)].astype(np.int64)
    names = tuple(f"class {label}" for label in range(CLASSES))
    found = point_set(points, labels, names, "made up")
    rows = np.arange(3, len(points))
    embeddings = found.take(rows).flatten(1)
    held_out = torch.tensor(found.labels[rows])
    groups = drawn(held_out, None, Protocol((SIZE,), 1, 0), SIZE)
    mean = catalogue.load("aggregator", "mean")(4)
    return groups, embeddings, exhibit.exhibit(embeddings, groups, mean, found, rows), found


def test_a_map_keeps_distances_along_its_axes(shown):
    groups, embeddings, found, _ = shown
    means = embeddings[groups.members].mean(1).double()
    centred = (means - means.mean(0)).numpy()
    axes = np.stack([found.map["x"], found.map["y"]], 1)
    covariance = np.cov(centred.T, bias=True)
    largest = np.linalg.eigvalsh(covariance)[::-1]
    assert np.cov(axes.T, bias=True) == pytest.approx(np.diag(largest[:2]), abs=1e-12)
    assert found.map["explained"].to_pylist() == pytest.approx(
        [largest[:2].sum() / largest.sum()] * len(axes)
    )


def test_a_map_names_the_classes_of_its_groups(shown):
    groups, _, found, points = shown
    assert found.map["class_name"].to_pylist() == [points.classes[n] for n in groups.labels]


def test_a_map_holds_some_groups_of_some_classes(shown, monkeypatch):
    monkeypatch.setattr(exhibit, "MAPPED_CLASSES", 2)
    monkeypatch.setattr(exhibit, "MAPPED_GROUPS", 3)
    groups, embeddings, _, points = shown
    mean = catalogue.load("aggregator", "mean")(4)
    rows = np.arange(3, len(points))
    found = exhibit.exhibit(embeddings, groups, mean, points, rows).map
    assert found["class_name"].to_pylist() == ["class 0"] * 3 + ["class 3"] * 3


def test_the_witness_is_the_triplet_behind_the_margin(shown):
    groups, embeddings, found, points = shown
    witness = found.witness.to_pydict()
    anchor, positive, negative = (torch.tensor(values) for values in witness["values"])
    excess = (anchor - positive).norm() - (anchor - negative).norm()
    members = groups.members.flatten()
    expected = margin(embeddings[members], groups.labels.repeat_interleave(SIZE)).m_star
    assert excess.item() == pytest.approx(expected.item(), abs=1e-6)
    assert witness["excess"] == pytest.approx([expected.item()] * 3)
    assert witness["role"] == ["anchor", "positive", "negative"]
    assert witness["class_name"][0] == witness["class_name"][1] != witness["class_name"][2]
    assert witness["shape"] == [[1, 2, 2]] * 3
    of_class = points.take(np.flatnonzero(points.labels == int(witness["class_name"][0][-1])))
    assert any(torch.equal(anchor, point) for point in of_class.flatten(1))


def test_one_number_to_a_group_has_one_axis():
    labels = torch.tensor([0, 0, 1, 1])
    groups = drawn(labels, None, Protocol((1,), 1, 0), 1)
    values = np.array([[0.0], [1.0], [5.0], [6.0]], np.float32)
    points = point_set(values, labels.numpy(), ("a", "b"), "made up")
    mean = catalogue.load("aggregator", "mean")(1)
    found = exhibit.exhibit(torch.tensor(values), groups, mean, points, np.arange(4)).map
    assert found["y"].to_pylist() == [0.0] * 4
    assert np.ptp(found["x"]) == pytest.approx(6.0)
    assert found["explained"].to_pylist() == pytest.approx([1.0] * 4)
