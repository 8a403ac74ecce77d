import pytest
import torch

from tests.trainables.trials import CONVOLUTIONAL, configured
from trainables.configuration import Component
from trainables.model import GroupModel, build


@pytest.fixture(params=[True, False], ids=["unit length", "any length"])
def model(request):
    return GroupModel(configured(), (5,), request.param)


@pytest.fixture
def groups():
    """Padded groups of points; what stands at padded places is not even a number."""
    mask = torch.tensor([[False, True, True], [True, False, False], [True, True, True]])
    points = torch.randn(3, 3, 5)
    points[~mask] = torch.nan
    return points, mask


def test_components_are_built_from_name_wiring_and_options():
    encoder = build("encoder", Component("mlp", {"width": 3, "depth": 2}), shape=(5,))
    assert (encoder.shape, encoder.width, len(encoder.hidden)) == ((5,), 3, 2)


def test_the_aggregator_is_as_wide_as_the_encoder(model):
    assert model.aggregator.width == model.encoder.width == 6


def test_embeddings_have_length_1_where_asked_for(model):
    points = torch.randn(4, 5)
    raw, found = model.eval().encoder(points).embedding, model.embed(points).embedding
    expected = raw / raw.norm(dim=1, keepdim=True) if model.unit_length else raw
    torch.testing.assert_close(found, expected)


def test_a_group_is_embedded_as_the_aggregate_of_its_points(model, groups):
    points, mask = groups
    found = model.eval()(points, mask)
    for group in range(len(mask)):
        embeddings = model.embed(points[group, mask[group]]).embedding[None]
        alone = model.aggregator(embeddings, torch.ones(embeddings.shape[:2], dtype=torch.bool))
        torch.testing.assert_close(found[group], alone[0])


def test_only_real_points_reach_batch_statistics():
    model = GroupModel(configured(CONVOLUTIONAL), (1, 16, 16), True)
    points, mask = torch.rand(2, 3, 1, 16, 16), torch.tensor([[True] * 3, [True, False, False]])
    points[~mask] = torch.nan
    model.train()(points, mask)
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_many_points_are_embedded_in_chunks_without_a_difference(model):
    points = torch.randn(25, 5)
    torch.testing.assert_close(model.embed_all(points, chunk=4), model.embed_all(points))


@pytest.mark.parametrize("training", [True, False])
def test_embedding_many_points_is_an_evaluation_and_restores_the_mode(model, training):
    points = torch.randn(9, 5)
    found = model.train(training).embed_all(points)
    assert model.training is model.encoder.training is training
    assert not found.requires_grad
    torch.testing.assert_close(found, model.eval().embed(points).embedding.detach())


def test_a_model_is_rebuilt_from_its_configuration_and_weights(model, groups):
    other = GroupModel(configured(), (5,), model.unit_length)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.eval()(*groups), model.eval()(*groups))
