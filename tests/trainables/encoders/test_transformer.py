import pytest
import torch
from torch.nn.functional import gelu, layer_norm, unfold

from trainables.encoders.transformer import TransformerEncoder


def encoder(shape, **options):
    torch.manual_seed(0)
    small = {"width": 7, "patch": 4, "hidden": 8, "depth": 2, "heads": 2, **options}
    return TransformerEncoder(shape, **small).double()


def attended(block, tokens):
    """Attention of one group of tokens, head by head and token by token."""
    count, hidden = tokens.shape
    each = hidden // block.heads
    queries, keys, values = block.queries_keys_values(tokens).view(count, 3, hidden).unbind(1)
    found = torch.zeros(count, hidden, dtype=tokens.dtype)
    for head in range(block.heads):
        part = slice(head * each, (head + 1) * each)
        for token in range(count):
            scores = torch.stack([queries[token, part] @ key for key in keys[:, part]])
            weights = (scores / each**0.5).softmax(0)
            found[token, part] = weights @ values[:, part]
    return block.output(found)


def test_a_block_follows_its_formula():
    block = encoder((16,)).blocks[0]
    tokens = torch.randn(5, 8, dtype=torch.float64)
    middle = tokens + attended(block, block.before_attention(tokens))
    expected = middle + block.down(gelu(block.up(block.before_layers(middle))))
    torch.testing.assert_close(block(tokens[None])[0], expected)


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 16, 20)])
def test_patches_are_the_squares_of_an_image_row_by_row(shape):
    tokens = encoder(shape).tokens
    images = torch.rand(2, *shape, dtype=torch.float64)
    patches = unfold(images, 4, stride=4).transpose(1, 2)
    expected = patches @ tokens.embedding.weight.T + tokens.places
    torch.testing.assert_close(tokens(images), expected)


def test_sides_that_do_not_fit_are_filled_up_with_zeros():
    tokens = encoder((1, 18, 17)).tokens
    images = torch.rand(2, 1, 18, 17, dtype=torch.float64)
    filled = torch.zeros(2, 1, 20, 20, dtype=torch.float64)
    filled[:, :, :18, :17] = images
    expected = unfold(filled, 4, stride=4).transpose(1, 2) @ tokens.embedding.weight.T
    torch.testing.assert_close(tokens(images), expected + tokens.places)


def test_runs_of_features_have_maps_of_their_own():
    tokens = encoder((10,)).tokens
    vectors = torch.rand(3, 10, dtype=torch.float64)
    filled = torch.cat([vectors, torch.zeros(3, 2, dtype=torch.float64)], 1)
    runs = [filled[:, 4 * run : 4 * run + 4] @ tokens.maps[run] for run in range(3)]
    torch.testing.assert_close(tokens(vectors), torch.stack(runs, 1) + tokens.places)


def test_the_first_token_of_the_last_block_is_mapped_to_the_embedding():
    network = encoder((16,))
    vectors = torch.rand(3, 16, dtype=torch.float64)
    tokens = torch.cat([network.first.expand(3, 1, 8), network.tokens(vectors)], 1)
    for block in network.blocks:
        tokens = block(tokens)
    normalised = layer_norm(tokens[:, 0], (8,), network.normalisation.weight)
    torch.testing.assert_close(network(vectors).embedding, network.last(normalised))


@pytest.mark.parametrize(("hidden", "heads", "is_refused"), [(8, 2, False), (9, 2, True)])
def test_heads_share_the_hidden_floats(hidden, heads, is_refused):
    problems = TransformerEncoder.check(hidden=hidden, heads=heads, width=7, patch=4, depth=1)
    text = f"hidden: must be a multiple of heads, got {hidden} and {heads} heads"
    assert problems == [text] * is_refused
