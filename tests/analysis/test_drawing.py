import pytest

from analysis.drawing import label, looks, plain


def test_two_dozen_combinations_look_different():
    names = [str(place) for place in range(24)]
    assert len(set(looks(names).values())) == 24


@pytest.mark.parametrize(
    ("text", "shown"), [("a$x^2$b", r"a\$x^2\$b"), ("_hidden", " _hidden"), ("среднее", "среднее")]
)
def test_names_are_set_as_they_stand(text, shown):
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("mlp+mean+triplet", "mlp+mean+triplet"),
        ("groupface:conv4+set_transformer", "groupface:conv4+\nset_transformer"),
        ("a_name_without_any_place_to_break", "a_name_without_any_place_to_break"),
    ],
)
def test_long_names_break_after_a_plus(name, shown):
    assert label(name, width=20) == shown
