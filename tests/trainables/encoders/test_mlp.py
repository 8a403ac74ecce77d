import pytest
import torch

from trainables import catalogue
from trainables.encoders.mlp import MlpEncoder


def naive(encoder, points):
    """One point, layer and feature at a time."""

    def affine(layer, features):
        rows = zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
        return [sum(w * x for w, x in zip(row, features, strict=True)) + b for row, b in rows]

    embeddings = []
    for point in points.flatten(1).tolist():
        features = point
        for layer in encoder.hidden:
            features = [max(0.0, x) for x in affine(layer, features)]
        embeddings.append(affine(encoder.last, features))
    return torch.tensor(embeddings)


def test_one_hidden_float_worked_by_hand():
    encoder = MlpEncoder((2,), width=1, hidden=1)
    with torch.no_grad():
        encoder.hidden[0].weight.copy_(torch.tensor([[1.0, -1.0]]))
        encoder.hidden[0].bias.fill_(0.5)
        encoder.last.weight.fill_(2)
        encoder.last.bias.fill_(-1)
    # relu(3 - 1 + 0.5) = 2.5 gives 4; relu(1 - 3 + 0.5) = 0 gives -1.
    output = encoder(torch.tensor([[3.0, 1.0], [1.0, 3.0]]))
    assert output.embedding.tolist() == [[4.0], [-1.0]]
    assert output.group_logits is None


@pytest.mark.parametrize("shape", [(5,), (2, 3, 3)])
@pytest.mark.parametrize("depth", [1, 3])
def test_it_follows_the_formula(shape, depth):
    encoder = MlpEncoder(shape, width=4, hidden=6, depth=depth)
    points = torch.randn(7, *shape)
    assert len(encoder.hidden) == depth
    torch.testing.assert_close(encoder(points).embedding, naive(encoder, points))


def hidden_features(dropout, training):
    """Features after dropout: the last layer hands them on, the first makes ones of them all."""
    encoder = MlpEncoder((1,), width=1000, hidden=1000, dropout=dropout).train(training)
    with torch.no_grad():
        encoder.hidden[0].weight.zero_()
        encoder.hidden[0].bias.fill_(1)
        encoder.last.weight.copy_(torch.eye(1000))
        encoder.last.bias.zero_()
    return encoder(torch.zeros(50, 1)).embedding.detach()


@pytest.mark.parametrize("dropout", [0.1, 0.5, 0.9])
def test_dropout_drops_its_share_and_scales_up_the_others(dropout):
    features = hidden_features(dropout, training=True)
    kept = features != 0
    assert 1 - kept.float().mean().item() == pytest.approx(dropout, abs=0.01)
    torch.testing.assert_close(features[kept], torch.full_like(features[kept], 1 / (1 - dropout)))


@pytest.mark.parametrize(("dropout", "training"), [(0.9, False), (0.0, True)])
def test_nothing_is_dropped_in_evaluation_or_with_probability_0(dropout, training):
    features = hidden_features(dropout, training)
    torch.testing.assert_close(features, torch.ones_like(features))


def test_every_batch_is_dropped_anew():
    encoder = MlpEncoder((4,), dropout=0.5)
    points = torch.randn(3, 4)
    assert not torch.equal(encoder(points).embedding, encoder(points).embedding)


@pytest.mark.parametrize(
    ("option", "value", "is_legal"),
    [
        ("dropout", -0.1, False),
        ("dropout", 0.0, True),
        ("dropout", 1.0, False),
        ("depth", 0, False),
        ("hidden", 0, False),
        ("width", 0, False),
    ],
)
def test_options_have_ranges(option, value, is_legal):
    assert (catalogue.options(MlpEncoder)[option].problem(value) is None) == is_legal


@pytest.mark.parametrize("shape", [(1,), (3, 28, 28)])
def test_every_shape_fits(shape):
    assert MlpEncoder.unfit(shape) is None
