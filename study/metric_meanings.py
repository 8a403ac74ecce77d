"""What every metric of a trial is: in words, with unit and the better direction."""

from typing import Literal, NamedTuple

Better = Literal["more", "less", "-"]
EMBEDDING = "embedding units"

PREFIXES = {
    "val/": "held-out points of the folds; means over the folds, and nothing of the test",
    "test/": "the locked test points, of confirmations, their untrained twins and the raw points",
    "test/concatenated/": "the same of the embeddings of all folds' models, side by side",
    "bound/": "on the same points as the quality metrics of the trial",
    "train/": "while training",
}
"""What stands before a metric's name."""
PLACES = {
    ".points": "single points, without an aggregator",
    ".sizeN": "groups of N points, for each N of `protocol.sizes`",
}
"""What stands behind it."""
BOUNDS = ("t1", "t1_prime", "t1_double_prime", "t2", "t3", "t4", "t6", "t7", "t8", "t9", "best")
INPUT_BOUNDS = ("input_t1_prime", "input_t4")


class Meaning(NamedTuple):
    """A metric.

    Args:
        words: what is measured.
        unit: of its values; ``share`` is from 0 to 1.
        better: which direction is better, if either is.
    """

    words: str
    unit: str
    better: Better


QUALITY = {
    "map_at_r": Meaning("mean average precision at R, the others of the class", "share", "more"),
    "r_precision": Meaning("share of the class among the R nearest", "share", "more"),
    "recall_at_1": Meaning("queries whose nearest neighbour is of their class", "share", "more"),
    "auc": Meaning(
        "a pair of one class is nearer than a pair of two; 0.5 is chance", "share", "more"
    ),
    "eer": Meaning("error rate where both kinds of errors are as frequent", "share", "less"),
    "left_out_classes": Meaning("classes that make fewer than two groups", "classes", "-"),
}
"""Of points and of groups of every size."""

GROUPS = {
    "probe_accuracy": Meaning("a linear probe on half of the groups", "share", "more"),
    "neighbour_accuracy": Meaning("vote of the five nearest groups", "share", "more"),
    "effective_rank": Meaning("exponential entropy of the singular values", "dimensions", "-"),
    "drop_shift": Meaning(
        "how far a group embedding moves that loses a point, from two points on",
        "of the mean distance of groups",
        "less",
    ),
    "half_shift": Meaning(
        "how far one moves that loses half of its points, from two points on",
        "of the mean distance of groups",
        "less",
    ),
}
"""Of groups of every size."""

GROUP_AWARE = {
    f"group_aware_{name}": Meaning(
        f"`{name}` by the group-aware similarity, with `protocol.group_aware`",
        meaning.unit,
        meaning.better,
    )
    for name, meaning in QUALITY.items()
    if name != "left_out_classes"
}
"""Of points."""

OVERALL = {
    "covered": Meaning("1 where the theorem covers the aggregator, else 0", "-", "-"),
    "lipschitz": Meaning("how far the encoder stretches distances at most", "factor", "-"),
    "violations": Meaning("bounds on groups of one class that do not hold", "bounds", "less"),
    "separation_violations": Meaning(
        "bounds below the distance of different classes that do not hold", "bounds", "less"
    ),
    "input_violations": Meaning(
        "bounds read from the raw points that do not hold", "bounds", "less"
    ),
}
"""Of all sizes together; beside `covered` only where it is 1, and `lipschitz` where it is known."""

MEASURED = {
    "m_star": Meaning("the exact margin: the least that every triplet keeps", EMBEDDING, "less"),
    "m_99": Meaning("the margin that 99% of the distances keep", EMBEDDING, "less"),
    "scale": Meaning("mean distance of points of different classes", EMBEDDING, "-"),
    "distance": Meaning("mean distance of two groups of one class", EMBEDDING, "-"),
    "between": Meaning("mean distance of two groups of different classes", EMBEDDING, "-"),
    "certified": Meaning("groups whose retrieval is proven free of errors", "share", "more"),
    "s1": Meaning("bound S1 below `between`", EMBEDDING, "more"),
    "s2": Meaning("bound S2 below `between`", EMBEDDING, "more"),
    "s3": Meaning("bound S3 below `between`", EMBEDDING, "more"),
}
"""Of groups of every size."""

OF_BOUND = {
    "": Meaning("mean bound on the distance of two groups of one class", EMBEDDING, "less"),
    "_gap": Meaning("bound less distance", EMBEDDING, "less"),
    "_relative_gap": Meaning("gap as a share of `scale`", "of `scale`", "less"),
    "_tightness": Meaning("distance as a share of the bound", "share", "more"),
}
"""What follows the name of each bound, of groups of every size."""


def names(size: int) -> set[str]:
    """Every name, without prefix, that a trial may have at a group size and for points."""
    of_groups = {*QUALITY, *GROUPS, *MEASURED}
    of_bounds = {bound + ending for bound in (*BOUNDS, *INPUT_BOUNDS) for ending in OF_BOUND}
    return {
        *OVERALL,
        *(f"{name}.points" for name in (*QUALITY, *GROUP_AWARE)),
        *(f"{name}.size{size}" for name in of_groups | of_bounds),
    }
