import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score, roc_curve

from trainables import verification


def random_set(seed, rows=90, classes=6, width=3, spread=1.0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (rows,), generator=generator)
    noise = torch.randn(rows, width, generator=generator, dtype=torch.float64)
    return noise + spread * labels[:, None], labels


def reference(embeddings, labels):
    """AUC and EER by scikit-learn; the curve's straight lines cross where errors are equal."""
    apart = torch.nn.functional.pdist(embeddings)
    one, other = torch.triu_indices(len(labels), len(labels), 1)
    same = labels[one] == labels[other]
    false, accepted, _ = roc_curve(same, -apart, drop_intermediate=False)
    return roc_auc_score(same, -apart), np.interp(1, false + accepted, false)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("digits", [0, 12])
def test_metrics_agree_with_scikit_learn_with_and_without_ties(seed, digits):
    embeddings, labels = random_set(seed, spread=0.3)
    embeddings = embeddings.round(decimals=digits)
    found = verification.verification(embeddings, labels)
    assert list(found) == pytest.approx(reference(embeddings, labels), abs=1e-12)


@pytest.mark.parametrize("spread", [0.0, 0.3, 3.0])
def test_counting_in_bins_costs_little(spread):
    embeddings, labels = random_set(0, rows=400, spread=spread)
    exact = verification.verification(embeddings, labels)
    binned = verification.verification(embeddings, labels, exact_pairs=0)
    assert list(binned) == pytest.approx(list(exact), abs=1e-4)


def test_the_size_of_a_tile_changes_nothing(monkeypatch):
    embeddings, labels = random_set(1)
    whole = verification.verification(embeddings, labels, exact_pairs=0)
    monkeypatch.setattr(verification, "BINNED", 700)
    tiled = verification.verification(embeddings, labels, exact_pairs=0)
    assert list(tiled) == pytest.approx(list(whole), abs=1e-12)


def test_known_values_by_hand():
    # Pairs of one class are 1 and 4 apart, others 2, 3, 6 and 7: 4 + 2 of 8 comparisons are right.
    # Accepting up to 3 refuses half of the first and accepts half of the others.
    embeddings, labels = torch.tensor([[0.0], [1.0], [3.0], [7.0]]), torch.tensor([0, 0, 1, 1])
    assert verification.verification(embeddings, labels) == (0.75, 0.5)


@pytest.mark.parametrize("exact_pairs", [0, 100])
def test_separated_classes_are_told_apart(exact_pairs):
    labels = torch.tensor([0, 0, 5, 5, 9, 9])
    found = verification.verification(labels[:, None].float(), labels, exact_pairs)
    assert found == (1.0, 0.0)


@pytest.mark.parametrize("exact_pairs", [0, 100])
def test_embeddings_that_coincide_leave_chance(exact_pairs):
    found = verification.verification(
        torch.ones(6, 2), torch.tensor([0, 0, 0, 1, 1, 1]), exact_pairs
    )
    assert found == (0.5, 0.5)


@pytest.mark.parametrize("labels", [[0], [0, 0], [0, 1, 2]])
def test_without_both_kinds_of_pairs_there_are_no_metrics(labels):
    found = verification.verification(torch.rand(len(labels), 2), torch.tensor(labels))
    assert all(map(math.isnan, found))


def test_embeddings_that_are_not_finite_have_no_metrics():
    embeddings, labels = random_set(0)
    embeddings[3, 1] = torch.inf
    assert all(map(math.isnan, verification.verification(embeddings, labels)))
