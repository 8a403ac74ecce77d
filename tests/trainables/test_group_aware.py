import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from sklearn.metrics import roc_auc_score

from tests.trainables.trials import RULES, study_of, task_of
from trainables import retrieval, verification
from trainables.group_aware import GroupAware
from trainables.training import TrialRun

ORACLE = json.loads((Path(__file__).parents[1] / "oracles" / "groupface.json").read_text())["cases"]
float64 = partial(torch.tensor, dtype=torch.float64)
GROUPED = {"encoder": {"groupface-mlp": {"width": 6, "hidden": 8}}, "loss": {"groupface": {}}}


def random_points(rows=60, classes=5):
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(rows) % classes
    embeddings = torch.randn(rows, 4, generator=generator) + labels[:, None] / 2
    return embeddings, torch.randn(rows, 3, generator=generator) + labels[:, None], labels


def evaluated(changes, rules):
    return TrialRun(task_of(changes=changes, epochs=1), study_of(), rules).run().metrics


def test_similarities_agree_with_the_oracle():
    inputs, outputs = (ORACLE["group_aware_similarity"][part] for part in ("inputs", "outputs"))
    similarity = GroupAware(inputs["beta"], inputs["gamma"]).similarity
    found = similarity(float64(inputs["final"]), float64(inputs["intermediate"]))
    torch.testing.assert_close(found, float64(outputs["similarity"]), rtol=0, atol=1e-9)


def test_points_are_verified_by_the_similarity():
    embeddings, logits, labels = random_points()
    aware = GroupAware(0.3, 0.5)
    one, other = torch.triu_indices(len(labels), len(labels), 1)
    similar = aware.similarity(embeddings.double(), logits.double())[one, other]
    expected = roc_auc_score(labels[one] == labels[other], similar)
    found = aware.quality(embeddings, logits, labels)
    assert found["group_aware_auc.points"] == pytest.approx(expected, abs=1e-12)


def test_neighbours_are_the_most_similar():
    embeddings, logits, labels = random_points()
    aware = GroupAware(0.3, 0.5)
    similar = aware.similarity(embeddings.double(), logits.double()).fill_diagonal_(-torch.inf)
    expected = (labels[similar.argmax(1)] == labels).double().mean().item()
    found = aware.quality(embeddings, logits, labels)
    assert found["group_aware_recall_at_1.points"] == pytest.approx(expected, abs=1e-12)


def test_without_weight_it_is_the_cosine():
    embeddings, logits, labels = random_points()
    unit = torch.nn.functional.normalize(embeddings.double(), dim=1)
    plain = retrieval.retrieval(unit, labels)._asdict()
    plain |= verification.verification(unit, labels)._asdict()
    found = GroupAware(weight=0.0).quality(embeddings, logits, labels)
    assert found == pytest.approx({f"group_aware_{name}.points": v for name, v in plain.items()})


def test_counting_in_bins_costs_little(monkeypatch):
    embeddings, logits, labels = random_points(rows=200)
    exact = GroupAware().quality(embeddings, logits, labels)
    binned = partial(verification.verification, exact_pairs=0)
    monkeypatch.setattr("trainables.group_aware.verification", binned)
    assert GroupAware().quality(embeddings, logits, labels) == pytest.approx(exact, abs=2e-4)


def test_a_point_alone_in_its_class_is_left_out():
    embeddings, logits, labels = random_points()
    alone = torch.cat([labels, torch.tensor([99])])
    found = GroupAware().quality(
        torch.cat([embeddings, embeddings[:1]]), torch.cat([logits, logits[:1]]), alone
    )
    assert found == pytest.approx(GroupAware().quality(embeddings, logits, labels))


def test_a_trial_is_judged_by_it_where_its_encoder_tells_groups():
    aware = replace(RULES, group_aware=GroupAware())
    assert {name for name in evaluated(GROUPED, aware) if "group_aware" in name} == {
        f"val/group_aware_{metric}.points"
        for metric in ("map_at_r", "r_precision", "recall_at_1", "auc", "eer")
    }
    assert not any("group_aware" in name for name in evaluated(GROUPED, RULES))
    assert not any("group_aware" in name for name in evaluated(None, aware))
