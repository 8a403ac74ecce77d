import math

import pytest
import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN

from trainables import retrieval


def random_set(seed, rows=120, classes=9, width=4):
    """Overlapping classes of very different sizes, at least two of each."""
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.rand(rows, generator=generator) ** 2 * classes).long() * 3
    labels = torch.cat([labels, torch.arange(classes).repeat(2) * 3])
    labels = labels[torch.randperm(len(labels), generator=generator)]
    noise = torch.randn(len(labels), width, generator=generator, dtype=torch.float64)
    return noise + labels[:, None] / 8 + 5, labels


def test_metrics_agree_with_pytorch_metric_learning_on_a_hundred_label_sets():
    names = ("mean_average_precision_at_r", "r_precision", "precision_at_1")
    calculator = AccuracyCalculator(
        include=names,
        k="max_bin_count",
        knn_func=CustomKNN(LpDistance(normalize_embeddings=False)),
        device=torch.device("cpu"),
    )
    for seed in range(100):
        classes = 2 + seed % 23
        # That library knows distances to seven digits: few rows, so that none are that close.
        embeddings, labels = random_set(seed, rows=20 + seed // 2, classes=classes)
        expected = calculator.get_accuracy(embeddings, labels)
        found = retrieval.retrieval(embeddings, labels)
        assert list(found) == pytest.approx([expected[name] for name in names], abs=1e-6)


def naive(points, labels):
    """The formulas of the metrics, other classes first among equal distances."""
    values = []
    for query, label in enumerate(labels):
        others = [row for row in range(len(labels)) if row != query]
        others.sort(key=lambda r: (math.dist(points[query], points[r]), labels[r] == label))
        hits = [labels[row] == label for row in others]
        relevant = sum(hits)
        values.append(
            (
                sum(hits[k] * sum(hits[: k + 1]) / (k + 1) for k in range(relevant)) / relevant,
                sum(hits[:relevant]) / relevant,
                hits[0],
            )
        )
    return [sum(column) / len(labels) for column in zip(*values, strict=True)]


@pytest.mark.parametrize("seed", range(4))
def test_equal_distances_count_against_the_query(seed):
    embeddings, labels = random_set(seed, rows=60, width=2)
    embeddings = embeddings.round()
    found = retrieval.retrieval(embeddings, labels)
    assert list(found) == pytest.approx(naive(embeddings.tolist(), labels.tolist()))


def test_embeddings_that_coincide_retrieve_nothing():
    found = retrieval.retrieval(torch.full((6, 3), 0.1), torch.tensor([0, 0, 0, 1, 1, 1]))
    assert found == (0, 0, 0)


def test_separated_classes_are_retrieved_perfectly():
    labels = torch.tensor([4, 1, 4, 1, 4])
    assert retrieval.retrieval(labels[:, None].float(), labels) == (1, 1, 1)


def test_known_values_by_hand():
    # Query 0 finds b, a, a: precision at its hits within R = 2 is 1/2, so 1/4; and so on.
    points, labels = (
        torch.tensor([[0.0], [3.0], [7.0], [1.0], [20.0]]),
        torch.tensor([0, 0, 0, 1, 1]),
    )
    found = retrieval.retrieval(points, labels)
    assert list(found) == pytest.approx(
        [(1 / 4 + 1 / 4 + 1 / 2) / 5, (1 / 2 + 1 / 2 + 1 / 2) / 5, 1 / 5]
    )


def test_the_order_of_the_rows_does_not_matter():
    embeddings, labels = random_set(0)
    turned = retrieval.retrieval(embeddings.flip(0), labels.flip(0))
    assert list(turned) == pytest.approx(list(retrieval.retrieval(embeddings, labels)), abs=1e-12)


@pytest.mark.parametrize("rounded", [False, True])
def test_the_size_of_a_tile_changes_nothing(monkeypatch, rounded):
    embeddings, labels = random_set(1)
    embeddings = embeddings.round() if rounded else embeddings
    whole = retrieval.retrieval(embeddings, labels)
    monkeypatch.setattr(retrieval, "TILE", 500)
    assert retrieval.retrieval(embeddings, labels) == whole


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_embeddings_that_are_not_finite_have_no_metrics(broken):
    embeddings, labels = random_set(0)
    embeddings[3, 1] = broken
    assert all(map(math.isnan, retrieval.retrieval(embeddings, labels)))
