import json
import math
from functools import partial
from itertools import product
from pathlib import Path

import pytest
import torch
from pytorch_metric_learning import distances, losses, miners, reducers
from torch.nn.functional import normalize

from trainables import catalogue
from trainables.comparisons import WHOLE
from trainables.contracts import LabelledEmbeddings
from trainables.losses.triplet import TripletLoss

ORACLE = json.loads((Path(__file__).parents[2] / "oracles" / "triplet.json").read_text())["cases"]
float64 = partial(torch.tensor, dtype=torch.float64)
CLOSE = {"rtol": 0, "atol": 1e-9}
MINING = ["all", "semi_hard", "hard"]
AVERAGES = ["active", "all"]
VARIANTS = [
    dict(zip(("mining", "average", "hinge", "swap"), values, strict=True))
    for values in product(MINING, AVERAGES, ["relu", "softplus"], [False, True])
]


def name_of(options):
    return "-".join(map(str, options.values()))


def compare(embeddings, labels, **options):
    return TripletLoss(**options).compare(LabelledEmbeddings(embeddings, torch.tensor(labels)))


def value_and_gradient(embeddings, labels, **options):
    leaf = embeddings.detach().requires_grad_()
    value = compare(leaf, labels, **options)
    return value.detach(), torch.autograd.grad(value, leaf)[0]


def random_rows(rows=24, width=5, classes=4):
    embeddings = torch.randn(rows, width, dtype=torch.float64)
    labels = torch.randint(classes, (rows,)).tolist()
    return embeddings, labels


def oracle(name, **options):
    """Loss and gradient at the embeddings of a case, normalised where the case says so."""
    inputs = ORACLE[name]["inputs"]
    leaf = float64(inputs["embeddings"]).requires_grad_()
    rows = normalize(leaf, dim=1) if inputs["normalize"] else leaf
    value = compare(rows, inputs["labels"], **{"margin": inputs["margin"], **options})
    return value.detach(), torch.autograd.grad(value, leaf)[0]


def naive(embeddings, labels, margin, mining, **options):
    """The hinges of all mined triplets, one by one."""
    apart = (embeddings[:, None] - embeddings).norm(dim=2)
    places = range(len(labels))
    hinges = []
    for a in places:
        positives = [p for p in places if p != a and labels[p] == labels[a]]
        negatives = [n for n in places if labels[n] != labels[a]]
        if mining == "hard" and positives and negatives:
            positives = [max(positives, key=apart[a].__getitem__)]
            negatives = [min(negatives, key=apart[a].__getitem__)]
        for p, n in product(positives, negatives):
            if mining != "semi_hard" or apart[a, p] < apart[a, n] < apart[a, p] + margin:
                nearest = min(apart[a, n], apart[p, n]) if options["swap"] else apart[a, n]
                excess = apart[a, p] - nearest + margin
                is_soft = options["hinge"] == "softplus"
                hinges.append(excess.exp().log1p() if is_soft else excess.clamp_min(0))
    counted = [h for h in hinges if h > 0] if options["average"] == "active" else hinges
    return sum(counted) / max(1, len(counted))


def test_a_triplet_worked_by_hand():
    # Anchors 0 and 1 are 1 apart, and 3 and 2 away from the negative: hinges 0 and 0.5.
    rows, labels = float64([[0.0], [1.0], [3.0]]), [0, 0, 1]
    assert compare(rows, labels, margin=1.5, average="active").item() == 0.5
    assert compare(rows, labels, margin=1.5, average="all").item() == 0.25


def test_mining_worked_by_hand():
    # Anchor 0 is 2 from its positive and 1 and 3 from the negatives: hinges 2.5 and 0.5, of which
    # the second is semi-hard. Anchor 1 is 2 from its positive and 1 from both: 2.5 twice.
    rows, labels = float64([[0.0], [2.0], [1.0], [3.0]]), [0, 0, 1, 2]
    found = {m: compare(rows, labels, margin=1.5, mining=m).item() for m in MINING}
    assert found == {"all": 2.0, "semi_hard": 0.5, "hard": 2.5}


def test_a_softplus_and_swapped_distances_worked_by_hand():
    # Anchors 0 and 1 are 1 apart, and 3 and 2 away from the negative, which is 2 from the nearer.
    rows, labels = float64([[0.0], [1.0], [3.0]]), [0, 0, 1]
    log = {excess: math.log1p(math.exp(excess)) for excess in (-0.5, 0.5)}
    for average in AVERAGES:
        loss = partial(compare, rows, labels, margin=1.5, average=average)
        assert loss(hinge="softplus").item() == pytest.approx((log[-0.5] + log[0.5]) / 2)
        assert loss(swap=True).item() == 0.5
        assert loss(hinge="softplus", swap=True).item() == pytest.approx(log[0.5])


@pytest.mark.parametrize("name", ORACLE)
@pytest.mark.parametrize(
    ("average", "key"), [("all", "mean_all"), ("active", "mean_nonzero")], ids=AVERAGES[::-1]
)
def test_means_over_triplets_agree_with_the_oracle(name, average, key):
    outputs = ORACLE[name]["outputs"]
    value, gradient = oracle(name, average=average)
    torch.testing.assert_close(value, float64(outputs[key]), **CLOSE)
    torch.testing.assert_close(gradient, float64(outputs[f"grad_{key}"]), **CLOSE)


OF_ORACLE = {
    "batch_hard_mean": {"mining": "hard"},
    "softplus_with_margin": {"hinge": "softplus"},
    "soft_no_margin": {"hinge": "softplus", "margin": 0.0},
    "swap_mean_all": {"swap": True},
}


@pytest.mark.parametrize("name", ORACLE)
@pytest.mark.parametrize("key", OF_ORACLE)
def test_other_means_agree_with_the_oracle(name, key):
    value, _ = oracle(name, average="all", **OF_ORACLE[key])
    torch.testing.assert_close(value, float64(ORACLE[name]["outputs"][key]), **CLOSE)


@pytest.mark.parametrize("name", ORACLE)
def test_as_many_triplets_are_active_as_in_the_oracle(name):
    outputs = ORACLE[name]["outputs"]
    total = oracle(name, average="all")[0] * outputs["n_triplets"]
    active = total / oracle(name, average="active")[0]
    assert active.item() == pytest.approx(outputs["n_active"], abs=1e-9)


def anchor_by_anchor(embeddings, labels, margin, mining, average, hinge):
    """What :func:`naive` gives, without a loop over triplets."""
    apart, found = (embeddings[:, None] - embeddings).norm(dim=2), []
    for anchor, to_all in enumerate(apart):
        same = labels == labels[anchor]
        positives = to_all[same & (torch.arange(len(labels)) != anchor)][:, None]
        negatives = to_all[~same][None]
        if mining == "hard":
            positives, negatives = positives.amax(0, True), negatives.amin(1, True)
        excess = positives - negatives + margin
        if mining == "semi_hard":
            excess = excess[(negatives > positives) & (excess > 0)]
        found.append((excess.exp().log1p() if hinge == "softplus" else excess.relu()).flatten())
    hinges = torch.cat(found)
    return hinges.sum() / max(1, (hinges > 0).sum() if average == "active" else len(hinges))


@pytest.mark.parametrize("mining", MINING)
@pytest.mark.parametrize("hinge", ["relu", "softplus"])
def test_many_rows_are_compared_in_tiles(mining, hinge):
    embeddings, labels = random_rows(WHOLE + 1, classes=40)
    options = {"margin": 0.3, "mining": mining, "average": "active", "hinge": hinge}
    leaf = embeddings.clone().requires_grad_()
    expected = anchor_by_anchor(leaf, torch.tensor(labels), **options)
    value, gradient = value_and_gradient(embeddings, labels, **options)
    torch.testing.assert_close(value, expected.detach(), **CLOSE)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, leaf)[0], **CLOSE)


@pytest.mark.parametrize("options", VARIANTS, ids=name_of)
@pytest.mark.parametrize("margin", [0.0, 0.02, 0.3, 2.0, 20.0])
def test_values_and_gradients_are_those_of_the_triplets_one_by_one(options, margin):
    rows, labels = random_rows(16)
    leaf = rows.clone().requires_grad_()
    expected = naive(leaf, labels, margin, **options) + 0 * leaf.sum()
    value, gradient = value_and_gradient(rows, labels, margin=margin, **options)
    torch.testing.assert_close(value, expected.detach(), **CLOSE)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, leaf)[0], **CLOSE)


EUCLIDEAN = distances.LpDistance(normalize_embeddings=False)
SEMI_HARD = partial(miners.TripletMarginMiner, type_of_triplets="semihard", distance=EUCLIDEAN)
PML_MINERS = {
    "all": lambda margin: None,
    "semi_hard": SEMI_HARD,
    "hard": lambda margin: miners.BatchHardMiner(distance=EUCLIDEAN),
}
PML_REDUCERS = {"active": reducers.AvgNonZeroReducer, "all": reducers.MeanReducer}


@pytest.mark.parametrize("options", VARIANTS, ids=name_of)
@pytest.mark.parametrize("margin", [0.2, 1.0])
def test_values_and_gradients_agree_with_pytorch_metric_learning(options, margin):
    reference = losses.TripletMarginLoss(
        margin,
        swap=options["swap"],
        smooth_loss=options["hinge"] == "softplus",
        distance=EUCLIDEAN,
        reducer=PML_REDUCERS[options["average"]](),
    )
    miner = PML_MINERS[options["mining"]](margin)
    for _ in range(5):
        rows, labels = random_rows()
        leaf = rows.clone().requires_grad_()
        mined = miner(leaf, torch.tensor(labels)) if miner else None
        expected = reference(leaf, torch.tensor(labels), mined)
        value, gradient = value_and_gradient(rows, labels, margin=margin, **options)
        torch.testing.assert_close(value, expected.detach(), **CLOSE)
        torch.testing.assert_close(gradient, torch.autograd.grad(expected, leaf)[0], **CLOSE)


@pytest.mark.parametrize("options", VARIANTS, ids=name_of)
def test_the_gradient_is_that_of_finite_differences(options):
    rows, labels = random_rows(10, 3, 3)
    loss = partial(compare, labels=labels, margin=0.7, **options)
    assert torch.autograd.gradcheck(loss, rows.requires_grad_())


@pytest.mark.parametrize("mining", ["all", "hard"])
@pytest.mark.parametrize("swap", [False, True])
def test_a_loss_of_0_says_that_no_triplet_misses_the_margin(mining, swap):
    # Within classes 1 apart, across them at least 4: m* = 1 - 4, so margins up to 3 are kept.
    rows, labels = float64([[0.0], [1.0], [5.0], [6.0]]), [0, 0, 1, 1]
    assert compare(rows, labels, margin=3.0, mining=mining, swap=swap).item() == 0
    assert compare(rows, labels, margin=3.1, mining=mining, swap=swap).item() > 0


@pytest.mark.parametrize("mining", MINING)
def test_a_shift_of_all_rows_does_not_matter_even_far_from_the_origin(mining):
    rows, labels = random_rows()
    exact = (64 * rows).round().float() / 64  # so that shifting does not round
    found = value_and_gradient(exact + 1024, labels, mining=mining)
    expected = value_and_gradient(exact, labels, mining=mining)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


DEGENERATE = {
    "one class": ([0, 0, 0, 0], None),
    "only singletons": ([0, 1, 2, 3], None),
    "one row": ([0], None),
    "a singleton beside a class": ([0, 0, 0, 1], None),
    "coinciding rows": ([0, 0, 1, 1], 1.0),
    "rows of nothing but zeros": ([0, 0, 1, 1], 0.0),
}


@pytest.mark.parametrize("options", VARIANTS, ids=name_of)
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_rows_have_a_finite_loss_and_gradient(case, options):
    labels, fill = DEGENERATE[case]
    rows = torch.randn(len(labels), 3) if fill is None else torch.full((len(labels), 3), fill)
    value, gradient = value_and_gradient(rows, labels, **options)
    assert gradient.isfinite().all()
    expected = naive(rows, labels, 0.2, **options)
    torch.testing.assert_close(value, torch.as_tensor(expected, dtype=value.dtype))


@pytest.mark.parametrize("mining", MINING)
def test_a_duplicate_in_another_class_costs_the_margin_and_the_distance(mining):
    rows, labels = float64([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]]), [0, 0, 1]
    # The anchor's positive is 5 away and its negative 0; no negative is further than the positive.
    value, gradient = value_and_gradient(rows, labels, margin=0.5, mining=mining, average="active")
    expected = {"all": (5.5 + 0.5) / 2, "hard": (5.5 + 0.5) / 2, "semi_hard": 0.0}
    assert value.item() == pytest.approx(expected[mining])
    assert gradient.isfinite().all()


def test_a_semi_hard_negative_is_further_than_the_positive_by_less_than_the_margin():
    # From anchor 0: positive at 1, negatives at 1 (not further) and 2 (further by the margin).
    rows, labels = float64([[0.0], [1.0], [-1.0], [-2.0]]), [0, 0, 1, 1]
    assert compare(rows, labels, margin=1.0, mining="semi_hard", average="all").item() == 0


def test_the_loss_asks_for_groups_of_one_class():
    assert TripletLoss.needs({}) == {"positives"}


@pytest.mark.parametrize("margin", [0.0, 0.1])
@pytest.mark.parametrize("options", VARIANTS, ids=name_of)
def test_only_a_softplus_may_go_without_margin_and_not_if_semi_hard(options, margin):
    refused = margin == 0 and (options["hinge"] == "relu" or options["mining"] == "semi_hard")
    text = "margin: must be above 0 where hinge is relu or mining is semi_hard, got 0"
    assert TripletLoss.check(margin=margin, **options) == [text] * refused


@pytest.mark.parametrize(
    ("option", "value", "is_legal"),
    [
        ("margin", -0.1, False),
        ("margin", 0.0, True),
        ("hinge", "square", False),
        ("swap", 1, False),
        ("mining", "easy", False),
        ("average", "none", False),
        ("level", "classes", False),
    ],
)
def test_illegal_options_are_refused(option, value, is_legal):
    assert (catalogue.options(TripletLoss)[option].problem(value) is None) == is_legal
