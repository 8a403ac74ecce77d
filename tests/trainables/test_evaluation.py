from statistics import fmean

import pytest
import torch

from trainables import evaluation
from trainables.aggregators.normalized_mean import NormalizedMeanAggregator
from trainables.contracts import Aggregator, HullAggregator
from trainables.evaluation import Protocol, evaluate, quality_at
from trainables.gaps import gaps
from trainables.grouping import TooFewGroupsError, draw_groups
from trainables.input_reading import InputSpace
from trainables.retrieval import retrieval
from trainables.verification import verification


class Mean(HullAggregator):
    def weights(self, embeddings, mask):
        return mask / mask.sum(1, keepdim=True)


class Largest(Aggregator):
    outside_hull = "a largest feature can leave the convex hull"

    def forward(self, embeddings, mask):
        return embeddings.amax(1)


PROTOCOL = Protocol(sizes=(1, 2, 5), draws=3, seed=11)
MEASURED = ["map_at_r", "r_precision", "recall_at_1", "auc", "eer", "left_out_classes"]
PLACES = ["points", "size1", "size2", "size5"]
INFORMATIVE = ["probe_accuracy", "neighbour_accuracy", "effective_rank"]
SHIFTS = ["drop_shift", "half_shift"]


def held_out(rows=90, classes=5, width=6):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(classes, (rows,), generator=generator)
    noise = torch.randn(rows, width, generator=generator)
    return noise + 0.4 * labels[:, None], labels


@pytest.fixture(scope="module")
def found():
    return evaluate(*held_out(), None, Mean(6), PROTOCOL)


def test_every_quality_is_measured_for_points_and_every_size(found):
    everywhere = {f"{name}.{place}" for name in MEASURED for place in PLACES}
    of_groups = {f"{name}.{place}" for name in INFORMATIVE for place in PLACES if place != "points"}
    shifts = {f"{name}.{place}" for name in SHIFTS for place in PLACES[2:]}
    assert set(found.quality) == everywhere | of_groups | shifts


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", MEASURED)
def test_one_quality_alone_is_the_same_number(found, name, place):
    alone = quality_at(f"{name}.{place}", *held_out(), None, Mean(6), PROTOCOL)
    assert alone == found.quality[f"{name}.{place}"]


def test_quality_of_points_is_that_of_their_embeddings(found):
    embeddings, labels = held_out()
    expected = {
        **retrieval(embeddings, labels)._asdict(),
        **verification(embeddings, labels)._asdict(),
    }
    for name, value in expected.items():
        assert found.quality[f"{name}.points"] == pytest.approx(value, abs=1e-12)
        assert found.quality[f"{name}.size1"] == pytest.approx(value, abs=1e-12)


def test_groups_of_one_point_are_measured_once_where_they_are_the_points(monkeypatch):
    counts = []

    def watched(embeddings, labels):
        counts.append(len(embeddings))
        return retrieval(embeddings, labels)

    monkeypatch.setattr(evaluation, "retrieval", watched)
    embeddings, labels = held_out()
    natural = torch.arange(len(labels)) // 3
    for aggregator, groups, expected in (
        (Mean(6), None, 1),
        (NormalizedMeanAggregator(6), None, 2),
        (Mean(6), natural, 3),
    ):
        counts.clear()
        found = evaluate(embeddings, labels, groups, aggregator, Protocol((1,), 2, 0)).quality
        assert len(counts) == expected
        is_same = found["map_at_r.size1"] == found["map_at_r.points"]
        assert is_same == (expected == 1)


def test_quality_is_the_mean_over_independent_draws(monkeypatch):
    drawn = []

    def watched(*arguments):
        drawn.append(draw_groups(*arguments))
        return drawn[-1]

    monkeypatch.setattr(evaluation, "draw_groups", watched)
    embeddings, labels = held_out()
    value = quality_at("map_at_r.size5", embeddings, labels, None, Mean(6), PROTOCOL)
    assert len({groups.members.flatten().tolist()[0] for groups in drawn}) > 1
    assert value == pytest.approx(
        fmean(
            retrieval(embeddings[groups.members].mean(1), groups.labels).map_at_r
            for groups in drawn
        ),
        abs=1e-6,
    )


def test_bound_metrics_of_a_covered_aggregator(found):
    groups = torch.randn(6, 2, 6)
    per_size = gaps(groups, torch.arange(6) // 2, Mean(6), 0).means
    assert {"m_star", "scale", "t1_prime", "t4_relative_gap", "certified", "s3"} <= per_size.keys()
    names = {f"{name}.size{size}" for name in per_size for size in PROTOCOL.sizes}
    assert set(found.bound) == names | {"covered", "violations", "separation_violations"}
    assert found.bound["covered"] == 1
    assert found.bound["violations"] == found.bound["separation_violations"] == 0


def test_an_uncovered_aggregator_has_distances_but_no_bounds():
    bound = evaluate(*held_out(), None, Largest(6), PROTOCOL).bound
    per_size = {f"{n}.size{size}" for n in ("m_star", "scale", "distance") for size in (1, 2, 5)}
    assert set(bound) == per_size | {"covered"}
    assert bound["covered"] == 0


@pytest.mark.parametrize("aggregator", [Mean(6), Largest(6)], ids=["covered", "uncovered"])
def test_bounds_are_read_from_the_inputs_of_an_encoder_with_a_known_constant(aggregator):
    embeddings, labels = held_out()
    # Raw points twice as far apart, as images of one row.
    inputs = InputSpace(2 * embeddings[:, None, None], 0.5)
    plain = evaluate(embeddings, labels, None, aggregator, PROTOCOL)
    read = evaluate(embeddings, labels, None, aggregator, PROTOCOL, inputs)
    assert read.quality == plain.quality
    assert read.bound.items() >= plain.bound.items()
    further = {name: read.bound[name] for name in read.bound.keys() - plain.bound.keys()}
    assert further.pop("lipschitz") == 0.5
    if not plain.bound["covered"]:
        assert further == {}
        return
    assert further.pop("input_violations") == 0
    suffixes = ("", "_gap", "_relative_gap", "_tightness")
    names = [f"{bound}{suffix}" for bound in ("t1_prime", "t4") for suffix in suffixes]
    assert set(further) == {f"input_{name}.size{size}" for name in names for size in (1, 2, 5)}
    for name, value in further.items():
        assert value == pytest.approx(plain.bound[name.removeprefix("input_")])


def test_distances_that_the_inputs_do_not_allow_are_counted():
    embeddings, labels = held_out()
    inputs = InputSpace(embeddings, 0.01)
    bound = evaluate(embeddings, labels, None, Mean(6), PROTOCOL, inputs).bound
    assert bound["violations"] == 0
    assert bound["input_violations"] > 0


def test_pairs_of_all_sizes_are_listed(found):
    pairs = found.pairs.to_pandas()
    assert sorted(pairs["size"].unique()) == [1, 2, 5]
    of_five = pairs[pairs["size"] == 5]
    assert (of_five["first"] < of_five["second"]).all()
    assert of_five["distance"].mean() == pytest.approx(found.bound["distance.size5"])
    assert (of_five["m_star"] == found.bound["m_star.size5"]).all()


def test_the_same_protocol_gives_the_same_evaluation(found):
    again = evaluate(*held_out(), None, Mean(6), PROTOCOL)
    assert (again.quality, again.bound) == (found.quality, found.bound)
    assert again.pairs.equals(found.pairs)


def test_another_seed_gives_other_groups(found):
    other = evaluate(*held_out(), None, Mean(6), Protocol((1, 2, 5), 3, 12))
    assert other.quality["map_at_r.size5"] != found.quality["map_at_r.size5"]


def test_groups_are_drawn_inside_natural_groups():
    embeddings, labels = held_out()
    natural = torch.arange(len(labels)) % 3
    # Pushed far apart, points of one natural group can only be found through their group.
    embeddings = embeddings + 1000.0 * natural[:, None]
    inside = evaluate(embeddings, labels, natural, Mean(6), Protocol((2,), 2, 0))
    mixed = evaluate(embeddings, labels, None, Mean(6), Protocol((2,), 2, 0))
    assert len(inside.pairs) == 5 * 3
    assert inside.bound["distance.size2"] > mixed.bound["distance.size2"]


def test_embeddings_that_still_carry_gradients_are_evaluated(found):
    embeddings, labels = held_out()
    again = evaluate(embeddings.requires_grad_(), labels, None, Mean(6), PROTOCOL)
    assert again.quality == found.quality


def test_a_size_that_too_few_classes_can_make_is_refused():
    with pytest.raises(TooFewGroupsError, match="groups of size 40"):
        evaluate(*held_out(), None, Mean(6), Protocol((5, 40), 1, 0))


@pytest.mark.parametrize("name", ["map_at_r.size3", "map_at_k.size5", "map_at_r", "t4_gap.size5"])
def test_an_unknown_quality_is_refused_with_the_choices(name):
    with pytest.raises(ValueError, match="auc, eer, left_out_classes, map_at_r") as caught:
        quality_at(name, *held_out(), None, Mean(6), PROTOCOL)
    assert str(caught.value).endswith(f"points, size1, size2, size5; got {name}")
