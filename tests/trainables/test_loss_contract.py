from typing import get_args

import pytest
import torch

from tests.trainables import variants as components
from tests.trainables.variants import float_options, looped, name_of, stacked, variants
from trainables import catalogue
from trainables.contracts import EncodedStep, LabelledEmbeddings, Need


def load(variant):
    return catalogue.load("loss", variant[0])


WIDTH = 5
CLASSES = 6
LATENT = 3
VARIANTS = variants("loss")
AT_POINTS = [(name, o) for name, o in VARIANTS if o["level"] == "points"]
AMONG_ROWS = [v for v in AT_POINTS if "classes" not in catalogue.wiring(load(v))]
BY_LABELS = [(name, o) for name, o in AMONG_ROWS if o.get("positives") != "views"]
VIEWLESS = [v for v in AT_POINTS if "views" not in load(v).needs(v[1])]
ORDERED = {"group_loss": {"anchors": 0}}
AT_BOTH = [(name, o) for name, o in VARIANTS if o["level"] == "both"]
POINT_LABELS = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2])
GROUP_LABELS = torch.tensor([0, 0, 1, 1, 2, 2])
MEMBERS = torch.arange(12).view(6, 2)


def built(variant, **changes):
    """With the same weights each time, in evaluation mode: one call must not change the next."""
    name, options = variant
    torch.manual_seed(1)
    loss = components.built(
        "loss", name, {**options, **changes}, width=WIDTH, classes=CLASSES, latent=LATENT
    )
    return loss.eval()


@pytest.fixture(params=VARIANTS, ids=name_of)
def loss(request):
    return built(request.param)


@pytest.fixture(params=AT_POINTS, ids=name_of)
def at_points(request):
    """Every loss in every variant, for rows that the test chooses."""
    return built(request.param)


@pytest.fixture(params=AMONG_ROWS, ids=name_of)
def among_rows(request):
    """Those of them that compare rows with each other, not with classes that they know."""
    return built(request.param)


@pytest.fixture(params=BY_LABELS, ids=name_of)
def by_labels(request):
    """Those of them whose positives are the rows of one class."""
    return built(request.param)


def encoded(points, groups, of_points=POINT_LABELS, of_groups=GROUP_LABELS):
    """A step of ``[views, rows, width]`` embeddings, two views of each."""
    return EncodedStep(
        points=LabelledEmbeddings(points[0], of_points, points[1]),
        groups=LabelledEmbeddings(groups[0], of_groups, groups[1]),
        members=MEMBERS,
        mask=torch.ones_like(MEMBERS, dtype=torch.bool),
        group_logits=torch.linspace(-1, 1, 12 * LATENT).view(12, LATENT).sin(),
    )


def random_step():
    return encoded(torch.randn(2, 12, WIDTH), torch.randn(2, 6, WIDTH))


def of_rows(loss, views, labels):
    """Value, and gradient with respect to both views."""
    leaf = views.detach().requires_grad_()
    value = loss.compare(LabelledEmbeddings(leaf[0], torch.tensor(labels), leaf[1]))
    return value.detach(), torch.autograd.grad(value, leaf)[0]


def test_a_step_becomes_a_finite_scalar_of_its_type(loss):
    value = loss(random_step())
    assert value.shape == ()
    assert value.dtype == torch.float32
    assert value.isfinite()


@pytest.mark.parametrize("variant", AT_POINTS, ids=name_of)
def test_the_order_of_rows_does_not_matter(variant):
    at_points = built(variant, **ORDERED.get(variant[0], {}))  # anchors are the first rows
    views, labels = torch.randn(2, 12, WIDTH), POINT_LABELS
    value, gradient = of_rows(at_points, views, labels.tolist())
    moved, of_moved = of_rows(at_points, views.roll(5, 1), labels.roll(5).tolist())
    torch.testing.assert_close(moved, value)
    torch.testing.assert_close(of_moved.roll(-5, 1), gradient)


def test_the_names_of_classes_do_not_matter(among_rows):
    views = torch.randn(2, 12, WIDTH)
    value, gradient = of_rows(among_rows, views, POINT_LABELS.tolist())
    renamed = torch.tensor([70, 3, 41])[POINT_LABELS].tolist()
    found, of_found = of_rows(among_rows, views, renamed)
    torch.testing.assert_close(found, value, rtol=0, atol=0)
    torch.testing.assert_close(of_found, gradient, rtol=0, atol=0)


def test_without_positives_the_loss_and_its_gradient_are_0(by_labels):
    value, gradient = of_rows(by_labels, torch.randn(2, 6, WIDTH), [0, 1, 2, 3, 4, 5])
    assert value.item() == 0
    assert not gradient.any()


def test_without_negatives_the_loss_and_its_gradient_are_finite(at_points):
    value, gradient = of_rows(at_points, torch.randn(2, 6, WIDTH), [0] * 6)
    assert value.isfinite()
    assert gradient.isfinite().all()


def test_one_row_alone_compares_to_nothing(among_rows):
    value, gradient = of_rows(among_rows, torch.randn(2, 1, WIDTH), [0])
    assert value.item() == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0, 1e4])
@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 0, 1], [0] * 6])
def test_coinciding_rows_have_a_finite_loss_and_gradient(at_points, labels, scale):
    value, gradient = of_rows(at_points, torch.full((2, 6, WIDTH), scale), labels)
    assert value.isfinite()
    assert gradient.isfinite().all()


def test_pairs_of_coinciding_rows_have_a_finite_loss_and_gradient(at_points):
    # Rows 0 and 1 of one class, 2 and 3 of two classes.
    views = torch.randn(2, 3, WIDTH).repeat_interleave(2, 1)
    value, gradient = of_rows(at_points, views, [0, 0, 0, 1, 1, 1])
    assert value.isfinite()
    assert gradient.isfinite().all()


def test_not_a_number_is_not_hidden(at_points):
    views = torch.randn(2, 12, WIDTH)
    views[:, 3, 2] = torch.nan
    assert not of_rows(at_points, views, POINT_LABELS.tolist())[0].isfinite()


@pytest.mark.parametrize("variant", AT_BOTH, ids=name_of)
def test_both_levels_give_the_mean_of_points_and_groups(variant):
    step = random_step()
    both, points, groups = (
        built(variant, level=level)(step) for level in ("both", "points", "groups")
    )
    torch.testing.assert_close(both, (points + groups) / 2)


@pytest.mark.parametrize("variant", AT_POINTS, ids=name_of)
@pytest.mark.parametrize("level", ["points", "groups"])
def test_a_level_looks_at_its_embeddings_only(variant, level):
    points, groups = torch.randn(2, 12, WIDTH), torch.randn(2, 6, WIDTH)
    changed = {"points": (points, groups + 1), "groups": (points + 1, groups)}[level]
    loss = built(variant, level=level)
    assert torch.equal(loss(encoded(*changed)), loss(encoded(points, groups)))


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_what_it_needs_is_declared_from_its_options(variant):
    name, options = variant
    needs = catalogue.load("loss", name).needs(options)
    assert needs <= set(get_args(Need))
    assert ("views" in needs) == (options.get("positives") == "views" or "teacher" in needs)


@pytest.mark.parametrize("variant", VIEWLESS, ids=name_of)
def test_a_loss_that_needs_no_views_looks_at_none(variant):
    loss = built(variant)
    views, labels = torch.randn(2, 12, WIDTH), POINT_LABELS
    alone = loss.compare(LabelledEmbeddings(views[0], labels))
    assert torch.equal(alone, of_rows(loss, views, labels.tolist())[0])


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_a_pack_of_different_options_has_the_losses_and_gradients_of_its_members(variant):
    of_members = float_options(catalogue.load("loss", variant[0]))
    members = [built(variant, **values) for values in of_members]
    leaves = [torch.randn(3, 2, rows, WIDTH, requires_grad=True) for rows in (12, 6)]

    def call(loss, points, groups):
        return loss(encoded(points, groups))

    losses, gradients = [], []
    for way in (stacked, looped):
        losses.append(way(members, call)(*leaves))
        found = torch.autograd.grad(losses[-1].sum(), leaves, allow_unused=True)
        gradients.append([gradient for gradient in found if gradient is not None])
    torch.testing.assert_close(*losses)
    torch.testing.assert_close(*gradients)
    assert len(of_members[0]) == 0 or losses[0].unique().numel() == 3
