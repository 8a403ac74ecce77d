import numpy as np
import pytest
import torch
from pytorch_metric_learning import losses, miners

from tests.trainables.trials import clouds, combined
from trainables import catalogue
from trainables.contracts import LabelledEmbeddings
from trainables.losses import library
from trainables.member import Member

WIDTH, CLASSES = 6, 5
LOSSES = [name for name in library.offered() if name.endswith("Loss")]
MINED = [f"TripletMarginLoss-{name}" for name in library.offered() if name.endswith("Miner")]
LABELS = torch.arange(20) % CLASSES


def built(name, **options):
    component = catalogue.load("loss", f"library-{name}")
    defaults = {key: option.default for key, option in catalogue.options(component).items()}
    return component(WIDTH, CLASSES, **{**defaults, **options})


def rows(seed=0):
    torch.manual_seed(seed)
    return LabelledEmbeddings(torch.randn(20, WIDTH, requires_grad=True), LABELS)


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning")
@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")
@pytest.mark.parametrize("name", [*LOSSES, *MINED])
def test_everything_offered_trains_embeddings_and_its_own_parameters(name):
    torch.manual_seed(0)
    loss, given = built(name), rows()
    loss.compare(given).backward()
    learned = [given.embeddings, *loss.parameters()]
    assert all(tensor.grad.isfinite().all() for tensor in learned)
    assert all(tensor.grad.abs().max() > 0 for tensor in learned)


def test_most_of_the_library_is_offered_and_the_rest_has_a_reason():
    public = {
        name
        for module in (losses, miners)
        for name, value in vars(module).items()
        if isinstance(value, type) and not name.endswith("Mixin")
    }
    assert public == set(library.offered()) | set(library.REFUSED)
    assert len(LOSSES) >= 25


def test_options_reach_the_constructors_of_loss_and_miner():
    loss = built("TripletMarginLoss-MultiSimilarityMiner", margin=0.3, miner_epsilon=0.25)
    assert (loss.loss.margin, loss.miner.epsilon) == (0.3, 0.25)


def test_the_value_is_the_librarys_own():
    given = rows()
    chosen = miners.TripletMarginMiner(margin=0.1, type_of_triplets="semihard")
    expected = losses.TripletMarginLoss(margin=0.4)(
        given.embeddings, LABELS, chosen(given.embeddings, LABELS)
    )
    name = "TripletMarginLoss-TripletMarginMiner"
    found = built(name, margin=0.4, miner_margin=0.1, miner_type_of_triplets="semihard")
    torch.testing.assert_close(found.compare(given), expected)


def test_options_are_those_of_the_constructors_with_their_defaults():
    options = catalogue.options(catalogue.load("loss", "library-CosFaceLoss"))
    assert {name: option.default for name, option in options.items()} == {
        "level": "groups",
        "margin": 0.35,
        "scale": 64.0,
    }
    assert options["margin"].problem(0.5) is None
    assert options["margin"].problem("wide") is not None


@pytest.mark.parametrize(
    "name", ["library", "library-NoLoss", "library-TripletMarginLoss-No", "library-VICRegLoss"]
)
def test_what_is_not_offered_does_not_exist(name):
    assert not catalogue.exists("loss", name)
    with pytest.raises(KeyError):
        catalogue.load("loss", name)


def test_a_slot_without_a_library_has_no_such_names():
    assert catalogue.library("views") is None
    assert not catalogue.exists("views", "library-CircleLoss")


@pytest.mark.parametrize("level", ["points", "groups", "both"])
def test_a_member_trains_with_a_loss_of_the_library(level):
    configuration = combined(
        ("mlp", {"width": WIDTH}),
        ("attention" if level != "points" else "mean", {}),
        ("library-ProxyAnchorLoss", {"level": level, "margin": 0.1, "alpha": 32.0}),
    )
    points = clouds(3, 8, apart=0.1)
    member = Member(configuration, points, np.arange(len(points)), 0, unit_length=True)
    first = member.train_epoch()
    for _ in range(20):
        last = member.train_epoch()
    assert last < first
