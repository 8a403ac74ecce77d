import pytest
import torch
from torch.nn.functional import layer_norm

from trainables import catalogue
from trainables.aggregators.set_transformer import SetTransformerAggregator

MASK = torch.tensor([[True] * 4, [True, False, True, False], [False, True, False, False]])


def aggregator(**options):
    return SetTransformerAggregator(5, **{"hidden": 6, "heads": 2, **options}).double()


def attended(block, row, members):
    """What one row takes from the members, head by head."""
    each = len(row) // block.heads
    parts = []
    for head in range(block.heads):
        part = slice(head * each, (head + 1) * each)
        query = block.queries.weight[part] @ row
        scores = [query @ (block.keys.weight[part] @ member) / each**0.5 for member in members]
        exponentials = torch.stack(scores).exp()
        weights = exponentials / exponentials.sum()
        values = [block.values.weight[part] @ member for member in members]
        parts.append(sum(w * value for w, value in zip(weights, values, strict=True)))
    return block.output.weight @ torch.cat(parts)


def normalised(layer, row):
    return layer_norm(row, row.shape, layer.weight, layer.bias)


def through(block, row, members):
    between = normalised(block.after_attention, row + attended(block, row, members))
    layer = (block.layer.weight @ between + block.layer.bias).clamp_min(0)
    return normalised(block.after_layer, between + layer)


@torch.no_grad()
def naive(aggregator, members):
    """Of one group, one member at a time."""
    first, layer = aggregator.first, aggregator.layer
    inner = [first.weight @ member + first.bias for member in members]
    for block in aggregator.blocks:
        inner = [through(block, row, inner) for row in inner]
    pooled = [(layer.weight @ row + layer.bias).clamp_min(0) for row in inner]
    return aggregator.last.weight @ through(aggregator.pooling, aggregator.seed, pooled)


@torch.no_grad()
def shaken(aggregator):
    """With all parameters at random: as they start, normalisations scale and shift by nothing."""
    for parameter in aggregator.parameters():
        parameter.add_(0.5 * torch.randn_like(parameter))
    return aggregator


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_it_follows_the_formula(heads, depth):
    transformer = shaken(aggregator(heads=heads, depth=depth))
    embeddings = torch.randn(3, 4, 5, dtype=torch.float64)
    expected = torch.stack(
        [naive(transformer, group[real]) for group, real in zip(embeddings, MASK, strict=True)]
    )
    torch.testing.assert_close(transformer(embeddings, MASK), expected, rtol=0, atol=1e-9)


def test_a_pooling_worked_by_hand():
    transformer = SetTransformerAggregator(2, hidden=2, heads=1, depth=0)
    pooling = transformer.pooling
    with torch.no_grad():
        for linear in (transformer.first, transformer.layer, transformer.last, pooling.values):
            linear.weight.copy_(torch.eye(2))
        pooling.output.weight.copy_(torch.eye(2))
        pooling.queries.weight.zero_()  # so that the seed takes the mean
        pooling.layer.weight.zero_()
        pooling.layer.bias.zero_()
        transformer.first.bias.zero_()
        transformer.layer.bias.zero_()
        transformer.seed.copy_(torch.tensor([0.0, -9.0]))
        pooling.after_layer.weight.copy_(torch.tensor([2.0, 3.0]))
    # ReLU leaves (4, 0) and (0, 8), the mean is (2, 4), with the seed (2, -5): normed to (1, -1).
    embeddings = torch.tensor([[[4.0, -1.0], [-1.0, 8.0], [50.0, 50.0]]])
    found = transformer(embeddings, torch.tensor([[True, True, False]]))
    # Normalisations add 1e-5 to the variance.
    torch.testing.assert_close(found, torch.tensor([[2.0, -3.0]]), rtol=0, atol=1e-4)


def test_members_see_each_other_only_in_blocks_of_self_attention():
    embeddings = torch.randn(1, 4, 5, dtype=torch.float64)
    mask = torch.ones(1, 4, dtype=torch.bool)
    seen = []
    for depth in (0, 1):
        transformer = shaken(aggregator(depth=depth))
        pooled = []
        transformer.layer.register_forward_hook(lambda _, inputs, __, to=pooled: to.append(inputs))
        transformer(embeddings, mask)
        transformer(torch.cat([embeddings[:, :3], -embeddings[:, 3:]], 1), mask)
        (before,), (after,) = pooled
        seen.append(not torch.equal(before[:, :3], after[:, :3]))
    assert seen == [False, True]


def test_nothing_is_learned_that_shifts_all_groups_alike():
    transformer = aggregator(depth=1)
    assert transformer.pooling.after_layer.bias is None
    assert transformer.last.bias is None
    assert transformer.blocks[0].after_layer.bias is not None


def test_it_leaves_the_hull_and_says_why():
    transformer = aggregator()
    point = torch.ones(1, 1, 5, dtype=torch.float64)
    assert not torch.allclose(transformer(point, torch.ones(1, 1, dtype=torch.bool)), point[:, 0])
    assert SetTransformerAggregator.outside_hull == (
        "attention and layers map the members to places of their own"
    )


@pytest.mark.parametrize(
    ("hidden", "heads", "problems"),
    [
        (64, 4, []),
        (6, 3, []),
        (6, 4, ["hidden: must be a multiple of heads, got 6 and 4 heads"]),
    ],
)
def test_hidden_is_a_multiple_of_heads(hidden, heads, problems):
    assert SetTransformerAggregator.check(hidden=hidden, heads=heads, depth=1) == problems


def test_all_suggested_values_go_together():
    options = catalogue.options(SetTransformerAggregator)
    for hidden in options["hidden"].suggestion.choices:
        for heads in options["heads"].suggestion.choices:
            assert SetTransformerAggregator.check(hidden=hidden, heads=heads) == []


@pytest.mark.parametrize(("name", "least"), [("hidden", 1), ("heads", 1), ("depth", 0)])
def test_sizes_have_a_least_value(name, least):
    option = catalogue.options(SetTransformerAggregator)[name]
    assert option.problem(least) is None
    assert option.problem(least - 1) is not None
