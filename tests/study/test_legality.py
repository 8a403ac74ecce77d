import numpy as np
import pytest

from study.legality import is_covered
from tests.study.files import accepted, refused
from trainables import catalogue
from trainables.importers.recognise import import_points
from trainables.sources import write_parquet

LENT = catalogue.library("aggregator").offered()
VIEWS = "search.views: {noise: {}}"
WITH_VIEWS = "search.loss.infonce: {level: groups, positives: views}"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            ["search.aggregator.attention: {}", "search.loss.triplet.level: points"],
            "search.loss.triplet.level: aggregator attention cannot learn from a loss on points "
            "only; use groups or both",
        ),
        (
            ["search.aggregator.attention: {}", "search.loss.triplet.level: [points, both]"],
            "search.loss.triplet.level: aggregator attention cannot learn from a loss on points "
            "only; use groups or both",
        ),
        (
            [WITH_VIEWS],
            "search.loss.infonce: compares two views, but there are none; name some under "
            f"search.views, from {', '.join(catalogue.names('views'))}",
        ),
        (
            [
                "search.loss.infonce: {level: groups, positives: [labels, views]}",
                "search.views: {}",
            ],
            "search.loss.infonce: compares two views, but there are none; name some under "
            f"search.views, from {', '.join(catalogue.names('views'))}",
        ),
        (
            [VIEWS],
            "search.views: has no effect, since no loss here compares views; leave it out",
        ),
        (
            ["search.training.group_views: disjoint"],
            "search.training.group_views: has no effect, since no loss here compares views; "
            "leave it out",
        ),
        (
            ["search.training.groups_per_class: {low: 1, high: 3}"],
            "search.training.groups_per_class: must be at least 2, since search.loss.triplet "
            "compares groups of one class, got 1",
        ),
        (
            [
                "search.loss.triplet.level: points",
                "search.training.groups_per_class: 1",
                "search.training.group_size: 1",
            ],
            "search.training.group_size: must be at least 2 where groups_per_class is 1, since "
            "search.loss.triplet compares points of one class, got 1",
        ),
        (
            [
                "search.loss.infonce: {level: groups, positives: [labels, views]}",
                VIEWS,
                "search.training.group_views: disjoint",
            ],
            "search.training.groups_per_class: must be at least 4, since search.loss.infonce "
            "compares groups of one class, got 2",
        ),
        *(
            (
                [
                    WITH_VIEWS,
                    VIEWS,
                    "search.training.group_views: [augmented, disjoint]",
                    f"search.training.groups_per_class: {space}",
                ],
                "search.training.groups_per_class: must be even where group_views may be "
                f"disjoint, got {got}",
            )
            for space, got in [("3", "3"), ("[2, 3]", "2, 3"), ("{low: 2, high: 4}", "2, 3")]
        ),
        (
            [
                "search.aggregator.max: {}",
                "protocol.objectives: [quality, relative_gap]",
                "algorithm.pruner: none",
            ],
            "protocol.objectives: relative_gap is not defined for aggregator max: the largest "
            "features of different members need not lie between the members; leave out one of "
            "the two",
        ),
    ],
)
def test_what_cannot_learn_or_cannot_be_is_refused(tmp_path, changes, problem):
    assert refused(tmp_path, *changes) == [problem]


def test_a_limit_on_distances_needs_embeddings_of_any_length(tmp_path):
    limited = "search.encoder.lipschitz-linear: {width: 16, bound: {low: 0.5, high: 2.0}}"
    assert refused(tmp_path, limited) == [
        "search.encoder.lipschitz-linear: its bound has no effect on embeddings of length 1; set "
        "protocol.normalize to false"
    ]
    assert accepted(tmp_path, limited, "protocol.normalize: false").combinations


def test_judging_by_latent_groups_needs_an_encoder_that_tells_them(tmp_path):
    assert refused(tmp_path, "protocol.group_aware: {}") == [
        "protocol.group_aware: no encoder here tells latent groups apart; use one inside "
        "groupface, as groupface-linear"
    ]
    changes = "search.encoder.groupface-linear: {width: 16}", "protocol.group_aware: {weight: 0.2}"
    assert accepted(tmp_path, *changes).rules.group_aware.weight == 0.2


def test_an_encoder_of_unknown_stretch_is_not_wrapped(tmp_path):
    changes = "search.encoder.lipschitz-transformer: {width: 16}", "protocol.normalize: false"
    (problem,) = refused(tmp_path, *changes)
    assert problem.startswith("search.encoder.lipschitz-transformer: lipschitz needs an encoder ")


def test_an_encoder_that_does_not_fit_the_points_is_refused(tmp_path):
    (problem,) = refused(tmp_path, "search.encoder.conv4: {width: 16}")
    assert problem.startswith("search.encoder.conv4: ")


def test_views_that_do_not_fit_the_points_are_refused(tmp_path):
    labels = np.arange(200) % 10
    np.savez(tmp_path / "flat.npz", points=np.eye(200)[:, :40], labels=labels)
    write_parquet(import_points(tmp_path / "flat.npz"), tmp_path / "flat.parquet")
    problems = refused(
        tmp_path,
        f"data.source: {tmp_path / 'flat.parquet'}",
        WITH_VIEWS,
        "search.views: {noise: {}, affine: {}}",
    )
    assert problems == [
        "search.views.affine: affine needs images of at least 2 x 2, got points of shape 40; "
        "use noise, dropout or mixing"
    ]


def test_a_model_without_anything_to_learn_is_refused(tmp_path):
    (problem,) = refused(tmp_path, "-search.encoder.linear", "search.encoder.identity: {}")
    assert problem == (
        "search.encoder.identity: learns nothing, and neither does aggregator mean; use an "
        "aggregator that learns"
    )


def test_wrappers_and_libraries_are_named_in_one_word(tmp_path):
    study = accepted(
        tmp_path,
        "search.encoder.groupface-linear: {width: 16, latent: 4}",
        "search.loss.library-MultiSimilarityLoss: {level: groups, alpha: {low: 1.0, high: 4.0}}",
        "search.aggregator.library-Set2Set: {}",
    )
    labels = {combination.label for combination in study.combinations}
    assert "groupface-linear+mean+library-MultiSimilarityLoss" in labels
    assert "linear+library-Set2Set+library-MultiSimilarityLoss" in labels


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            "search.encoder.groupfaces-linear: {}",
            "search.encoder.groupfaces-linear: no such encoder; did you mean groupface-linear?",
        ),
        (
            "search.loss.library-CircelLoss: {}",
            "search.loss.library-CircelLoss: no such loss; did you mean library-CircleLoss?",
        ),
        (
            "search.aggregator.library-SoftMaxAggregation: {}",
            "search.aggregator.library-SoftMaxAggregation: no such aggregator; did you mean "
            "library-SoftmaxAggregation?",
        ),
        (
            "search.aggregator.library-NoSuch: {}",
            "search.aggregator.library-NoSuch: no such aggregator; choose from "
            f"{', '.join(f'library-{name}' for name in LENT)}",
        ),
    ],
)
def test_misspelt_wrappers_and_libraries_are_recognised(tmp_path, change, problem):
    assert refused(tmp_path, change) == [problem]


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (
            "aggregator.library-LSTMAggregation",
            "LSTMAggregation depends on the order of a group's points, and on the sizes of the "
            "others of a batch",
        ),
        (
            "aggregator.library-EquilibriumAggregation",
            "EquilibriumAggregation gives a group another embedding beside other groups in a batch",
        ),
        ("loss.library-MultipleLosses", "MultipleLosses is several losses"),
        ("loss.library-TripletMarginLoss-BaseMiner", "BaseMiner is no miner by itself"),
    ],
)
def test_what_a_library_has_and_is_not_offered_is_refused_with_the_reason(tmp_path, part, reason):
    assert refused(tmp_path, f"search.{part}: {{}}") == [f"search.{part}: is not offered: {reason}"]


SOFTMAX = "search.aggregator.library-SoftmaxAggregation"


def test_an_aggregator_may_learn_by_one_choice_of_its_options_and_not_by_another(tmp_path):
    points = "search.loss.triplet.level: points"
    accepted(tmp_path, f"{SOFTMAX}: {{learn: false}}", points)
    (problem,) = refused(tmp_path, f"{SOFTMAX}: {{learn: [false, true]}}", points)
    assert problem.startswith("search.loss.triplet.level: aggregator library-SoftmaxAggregation ")
    untrained = ["-search.encoder.linear", "search.encoder.identity: {}", "-search.aggregator.mean"]
    accepted(tmp_path, *untrained, f"{SOFTMAX}: {{learn: true}}")
    (problem,) = refused(tmp_path, *untrained, f"{SOFTMAX}: {{learn: [false, true]}}")
    assert problem.startswith("search.encoder.identity: learns nothing, and neither does ")


def test_groups_that_an_aggregator_makes_all_alike_are_refused(tmp_path):
    spread = "search.aggregator.library-StdAggregation: {}"
    assert refused(tmp_path, spread, "search.training.group_size: 1") == [
        "search.training.group_size: aggregator library-StdAggregation cannot learn from groups of "
        "1; begin at a larger size"
    ]
    accepted(tmp_path, spread, "search.training.group_size: 1", "search.loss.triplet.level: points")


def test_the_theorem_covers_two_aggregators_of_the_library():
    assert [name for name in LENT if is_covered(f"library-{name}")] == [
        "AttentionalAggregation",
        "MeanAggregation",
    ]


def test_rules_across_the_options_of_a_component_are_asked(tmp_path):
    (problem,) = refused(
        tmp_path, "search.loss.infonce: {level: groups, contrast: [negatives, keys]}"
    )
    assert problem.startswith("search.loss.infonce.contrast: ")


@pytest.mark.parametrize(
    "changes",
    [
        [WITH_VIEWS, VIEWS],
        [WITH_VIEWS, VIEWS, "search.training.group_views: disjoint"],
        [
            WITH_VIEWS,
            VIEWS,
            "search.training.group_views: disjoint",
            "search.training.groups_per_class: {low: 2, high: 6, step: 2}",
        ],
        ["search.loss.triplet.level: points", "search.training.groups_per_class: 1"],
        ["search.aggregator.max: {}"],
    ],
)
def test_what_can_learn_is_accepted(tmp_path, changes):
    assert accepted(tmp_path, *changes).combinations


def test_each_problem_is_told_once_however_many_combinations_have_it(tmp_path):
    problems = refused(
        tmp_path,
        "search.encoder.mlp: {width: 16}",
        "search.aggregator.attention: {}",
        "search.loss.triplet.level: points",
    )
    assert len(problems) == 1


def test_the_theorem_covers_aggregators_inside_the_hull():
    assert is_covered("mean")
    assert is_covered("attention")
    assert not is_covered("max")
