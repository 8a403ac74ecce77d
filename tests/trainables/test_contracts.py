import pytest
import torch

from trainables.contracts import (
    Aggregator,
    EncodedStep,
    Encoder,
    EncoderOutput,
    HullAggregator,
    LabelledEmbeddings,
    Loss,
    Search,
    SearchAmong,
    Views,
)


class FirstPoint(HullAggregator):
    def weights(self, embeddings, mask):
        return torch.zeros_like(mask, dtype=embeddings.dtype).index_fill(1, torch.tensor([0]), 1)


class MeanLength(Loss):
    def compare(self, rows):
        return rows.embeddings.norm(dim=1).mean()


@pytest.fixture
def step():
    points, groups = torch.ones(4, 1), torch.full((2, 1), 3.0)
    return EncodedStep(
        points=LabelledEmbeddings(points, torch.tensor([0, 0, 1, 1])),
        groups=LabelledEmbeddings(groups, torch.tensor([0, 1])),
        members=torch.tensor([[0, 1], [2, 3]]),
        mask=torch.ones(2, 2, dtype=torch.bool),
    )


@pytest.mark.parametrize("base", [Encoder, Aggregator, HullAggregator, Loss, Views])
def test_a_contract_is_not_an_implementation(base):
    with pytest.raises(TypeError, match="abstract"):
        base((1,))


@pytest.mark.parametrize(("level", "value"), [("points", 1.0), ("groups", 3.0), ("both", 2.0)])
def test_a_loss_is_the_mean_over_the_levels_it_compares(step, level, value):
    assert MeanLength(level)(step).item() == value


def test_points_come_before_groups(step):
    assert step.at("points") == (step.points,)
    assert step.at("groups") == (step.groups,)
    assert step.at("both") == (step.points, step.groups)


def test_a_hull_aggregator_is_told_by_its_weights():
    embeddings = torch.randn(3, 4, 2)
    found = FirstPoint(2)(embeddings, torch.ones(3, 4, dtype=torch.bool))
    torch.testing.assert_close(found, embeddings[:, 0])


def test_second_views_and_group_logits_are_left_out_by_default(step):
    assert step.points.second is None
    assert step.group_logits is None
    assert EncoderOutput(torch.ones(1, 1)).group_logits is None


class Flat(Encoder):
    def forward(self, points):
        return EncoderOutput(points.flatten(1))


def test_of_an_encoder_nothing_is_known_by_default():
    encoder = Flat((3,), 3)
    assert encoder.unfit((3,)) is None
    assert encoder.lipschitz() is None
    assert not encoder.is_chain
    assert not encoder.tells_groups


def test_a_loss_needs_nothing_and_does_nothing_between_epochs_by_default():
    assert MeanLength.needs({}) == frozenset()
    assert not MeanLength("points").epoch_end()


def test_search_ranges_are_values():
    assert Search(1, 2) == Search(1, 2, log=False)
    assert SearchAmong(1, "two").choices == (1, "two")


def test_shapes_are_checked():
    with pytest.raises(TypeError, match="embeddings"):
        FirstPoint(2)(torch.randn(3, 4), torch.ones(3, 4, dtype=torch.bool))
