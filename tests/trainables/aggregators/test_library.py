import inspect
import math
import pickle
from copy import deepcopy

import numpy as np
import pytest
import safetensors.torch
import torch
from torch_geometric.nn import aggr

from tests.trainables.trials import clouds, combined
from tests.trainables.variants import name_of, variants
from trainables import catalogue
from trainables.aggregators import library
from trainables.member import Member
from trainables.model import GroupModel

WIDTH = 3
LENT = variants("aggregator", [f"library-{name}" for name in library.offered()])
OUTSIDE = [name for name in library.offered() if library.LENT[name].outside_hull]
BY_FEATURE = {
    "MaxAggregation": {},
    "MedianAggregation": {},
    "QuantileAggregation": {"q": 0.4},
    "SoftmaxAggregation": {"t": 2.0},
}
MASK = torch.tensor([[True] * 4, [True, False, True, False], [False, False, False, True]])
LEAST = 5e-6
"""Smallest share of the largest gradient that is more than the rounding of a zero."""


def built(name, width=WIDTH, **options):
    torch.manual_seed(0)
    return catalogue.load("aggregator", f"library-{name}")(width, **options)


def check_group_by_group(aggregator, formula, embeddings):
    for group, found in enumerate(aggregator(embeddings, MASK)):
        torch.testing.assert_close(found, formula(embeddings[group, MASK[group]]))


def test_the_library_is_offered_or_has_a_reason():
    assert set(aggr.classes) == set(library.offered()) | set(library.REFUSED)
    assert not set(library.offered()) & set(library.REFUSED)
    assert all(library.REFUSED.values())


@pytest.mark.parametrize(
    ("name", "options", "formula"),
    [
        ("MeanAggregation", {}, lambda e: e.mean(0)),
        ("MaxAggregation", {}, lambda e: e.amax(0)),
        ("StdAggregation", {}, lambda e: e.std(0, unbiased=False)),
        ("MedianAggregation", {}, lambda e: e.median(0).values),
        ("VariancePreservingAggregation", {}, lambda e: e.sum(0) / math.sqrt(len(e))),
        ("SoftmaxAggregation", {"t": 2.0}, lambda e: ((2 * e).softmax(0) * e).sum(0)),
        ("SoftmaxAggregation", {"learn": True}, lambda e: (e.softmax(0) * e).sum(0)),
        ("PowerMeanAggregation", {}, lambda e: e.mean(0)),
        (
            "PowerMeanAggregation",
            {"p": 2.0, "clamp_min": 1e-8},
            lambda e: e.clamp_min(1e-8).square().mean(0).clamp_min(1e-8).sqrt(),
        ),
        *(
            (
                "QuantileAggregation",
                {"q": q, "interpolation": way},
                lambda e, q=q, way=way: e.quantile(q, 0, interpolation=way),
            )
            for q in (0.0, 0.3, 0.5, 1.0)
            for way in ("linear", "lower", "higher", "nearest", "midpoint")
        ),
    ],
)
def test_results_follow_the_formulas(name, options, formula):
    check_group_by_group(built(name, **options), formula, torch.randn(3, 4, WIDTH))


@pytest.mark.parametrize(
    ("mode", "combined"),
    [
        ("sum", lambda four: four.sum(0)),
        ("mean", lambda four: four.mean(0)),
        ("max", lambda four: four.amax(0)),
        ("min", lambda four: four.amin(0)),
        ("logsumexp", lambda four: four.logsumexp(0)),
        ("var", lambda four: four.var(0)),
    ],
)
def test_several_are_mean_largest_smallest_and_deviation(mode, combined):
    def formula(e):
        four = [e.mean(0), e.amax(0), e.amin(0), e.std(0, unbiased=False)]
        return combined(torch.stack(four))

    check_group_by_group(built("MultiAggregation", mode=mode), formula, torch.randn(3, 4, WIDTH))


def test_deep_sets_sum_between_two_networks():
    aggregator = built("DeepSetsAggregation", hidden=5)
    before, after = aggregator.aggregation.local_nn, aggregator.aggregation.global_nn
    check_group_by_group(aggregator, lambda e: after(before(e).sum(0)), torch.randn(3, 4, WIDTH))


@pytest.mark.parametrize("name", ["MeanAggregation", "AttentionalAggregation"])
def test_inside_the_hull_the_result_is_the_librarys_own(name):
    aggregator, embeddings = built(name), torch.randn(3, 4, WIDTH)
    own = aggregator.aggregation(embeddings[MASK], MASK.nonzero()[:, 0], dim_size=3)
    torch.testing.assert_close(aggregator(embeddings, MASK), own)


def test_attention_weighs_by_the_softmax_of_its_gate():
    aggregator, embeddings = built("AttentionalAggregation"), torch.randn(3, 4, WIDTH)
    scores = aggregator.aggregation.gate_nn(embeddings.flatten(0, 1)).view(3, 4)
    expected = scores.masked_fill(~MASK, -torch.inf).softmax(1)
    torch.testing.assert_close(aggregator.weights(embeddings, MASK), expected)


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_lies_outside_the_hull_can(name):
    # Everything in the hull of the unit vectors has coordinates that sum to 1.
    options = {"p": 2.0} if name == "PowerMeanAggregation" else {}
    found = built(name, **options)(torch.eye(3)[None], torch.ones(1, 3, dtype=torch.bool))
    assert abs(float(found.detach().sum()) - 1) > 0.01


@pytest.mark.parametrize("name", BY_FEATURE)
def test_feature_by_feature_a_distance_exceeds_no_members_distance_by_more_than_root_width(name):
    assert "sqrt(width)" in library.LENT[name].outside_hull
    aggregator, everywhere = built(name, **BY_FEATURE[name]), torch.ones(50, 4, dtype=torch.bool)
    first, second = torch.randn(2, 50, 4, WIDTH)
    apart = (aggregator(first, everywhere) - aggregator(second, everywhere)).norm(dim=1)
    farthest = torch.cdist(first, second).flatten(1).amax(1)
    assert (apart <= math.sqrt(WIDTH) * farthest).all()


def test_options_have_the_names_and_defaults_of_the_library():
    for name in library.offered():
        arguments = inspect.signature(getattr(aggr, name)).parameters
        options = catalogue.options(catalogue.load("aggregator", f"library-{name}"))
        for option in options.values():
            assert option.description
            assert option.problem(option.default) is None
            argument = arguments.get(option.name)
            if argument is None:
                assert option.name == "hidden"
            elif argument.default is not argument.empty and option.name != "mode":
                assert option.default == argument.default


@pytest.mark.parametrize(
    ("name", "option", "legal", "illegal"),
    [
        ("SoftmaxAggregation", "t", [0.01, 100.0], [0.0, -1.0, 101.0]),
        ("PowerMeanAggregation", "p", [0.1, 10.0], [0.0, -1.0, 11.0]),
        ("PowerMeanAggregation", "clamp_min", [1e-30, 1.0], [0.0, 2.0]),
        ("PowerMeanAggregation", "clamp_max", [1.0, 100.0], [0.5, 101.0]),
        ("QuantileAggregation", "q", [0.0, 1.0], [-0.1, 1.1]),
        ("QuantileAggregation", "interpolation", ["nearest"], ["cubic"]),
        ("Set2Set", "processing_steps", [2], [1]),
        ("MultiAggregation", "mode", ["attn"], ["cat", "std"]),
        ("SetTransformerAggregation", "dropout", [0.0, 0.9], [-0.1, 1.0]),
        ("GraphMultisetTransformer", "k", [1], [0]),
    ],
)
def test_options_have_ranges(name, option, legal, illegal):
    checked = catalogue.options(catalogue.load("aggregator", f"library-{name}"))[option]
    assert [checked.problem(value) for value in legal] == [None] * len(legal)
    assert None not in [checked.problem(value) for value in illegal]


def test_options_reach_the_library():
    options = {"num_seed_points": 3, "num_encoder_blocks": 2, "num_decoder_blocks": 0, "heads": 4}
    aggregator = built("SetTransformerAggregation", 8, **options, dropout=0.25)
    lent = aggregator.aggregation
    assert (lent.num_seed_points, len(lent.encoders), len(lent.decoders)) == (3, 2, 0)
    assert (lent.heads, lent.dropout, lent.layer_norm, lent.concat) == (4, 0.25, True, False)
    pooled = built("GraphMultisetTransformer", 8, k=3, num_encoder_blocks=2, heads=2).aggregation
    assert (pooled.k, len(pooled.encoders), pooled.heads) == (3, 2, 2)
    assert built("Set2Set", processing_steps=5).aggregation.aggregation.processing_steps == 5


@pytest.mark.parametrize(("width", "heads"), [(8, 4), (6, 2), (5, 1)])
def test_heads_divide_every_width(width, heads):
    for name in ("SetTransformerAggregation", "GraphMultisetTransformer"):
        assert built(name, width, heads=4).aggregation.heads == heads


def test_evaluation_without_gradients_gives_the_same():
    for name, options in LENT:
        aggregator = catalogue.load("aggregator", name)(WIDTH, **options).eval()
        embeddings = torch.randn(3, 4, WIDTH)
        with torch.no_grad():
            found = aggregator(embeddings, MASK)
        torch.testing.assert_close(found, aggregator(embeddings, MASK))


def with_mates(aggregation, group, mates):
    """The library's result for a group that comes after one of others, and for the group alone."""
    after = torch.cat([torch.zeros(len(mates)), torch.ones(len(group))]).long()
    beside = aggregation(torch.cat([mates, group]), after, dim_size=2)[1]
    return beside, aggregation(group, torch.zeros(len(group)).long(), dim_size=1)[0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: aggr.EquilibriumAggregation(WIDTH, WIDTH, [8]),
        lambda: aggr.GRUAggregation(WIDTH, WIDTH),
        lambda: aggr.LCMAggregation(WIDTH, WIDTH),
        lambda: aggr.LSTMAggregation(WIDTH, WIDTH),
        lambda: aggr.PatchTransformerAggregation(WIDTH, WIDTH, 2, 4),
    ],
)
def test_what_is_refused_for_it_depends_on_the_other_groups_of_a_batch(make):
    torch.manual_seed(0)
    beside, alone = with_mates(make().eval(), torch.randn(2, WIDTH), torch.randn(5, WIDTH))
    assert (beside - alone).norm() > 0.1 * alone.norm()


def test_the_points_before_a_group_do_not_move_its_quantile():
    group, mates = torch.randn(2, WIDTH), torch.randn(20_001, WIDTH)
    for options in ({"q": 0.5, "interpolation": "nearest"}, {"q": 0.3}):
        beside, alone = with_mates(aggr.QuantileAggregation(**options), group, mates)
        assert (beside - alone).abs().max() > 1e-4
        ours = built("QuantileAggregation", **options).aggregation
        torch.testing.assert_close(*with_mates(ours, group, mates), rtol=0, atol=0)


@pytest.mark.parametrize(
    "name",
    ["library", "library-", "library-Max", "library-LSTMAggregation", "library-Set2Set-Set2Set"],
)
def test_what_is_not_offered_does_not_exist(name):
    assert not catalogue.exists("aggregator", name)
    with pytest.raises(KeyError):
        catalogue.load("aggregator", name)


def member_of(variant):
    name, options = variant
    configuration = combined(
        ("mlp", {"width": 8, "hidden": 8}), (name, options), ("triplet", {"level": "groups"})
    )
    points = clouds(3, 8, apart=0.1)
    return Member(configuration, points, np.arange(len(points)), 0, unit_length=True)


@pytest.mark.parametrize("variant", LENT, ids=name_of)
def test_every_parameter_learns(variant):
    member = member_of(variant)
    member.train_epoch()
    parameters = dict(member.model.named_parameters())
    largest = {name: float(p.grad.abs().max()) for name, p in parameters.items()}
    least = LEAST * max(largest.values())
    assert {name: value for name, value in largest.items() if not value > least} == {}


@pytest.mark.parametrize("variant", LENT, ids=name_of)
def test_a_model_is_rebuilt_from_its_configuration_and_weights(variant):
    name, options = variant
    configuration = combined(
        ("linear", {"width": 8}), (name, options), ("triplet", {"level": "groups"})
    )
    model, other = (
        GroupModel(pickle.loads(pickle.dumps(configuration)), (5,), True).eval() for _ in range(2)
    )
    other.load_state_dict(safetensors.torch.load(safetensors.torch.save(model.state_dict())))
    points = torch.randn(3, 4, 5)
    expected = model(points, MASK)
    torch.testing.assert_close(other(points, MASK), expected)
    for copied in (deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(copied(points, MASK), expected)
