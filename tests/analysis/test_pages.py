import pytest

from analysis import pages


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (0.12345, 3, "0.123"),
        (-1.5, 2, "−1.50"),
        (-0.0001, 2, "0.00"),
        (float("nan"), 3, "–"),
        (7, 0, "7"),
    ],
)
def test_numbers_have_fixed_digits_a_real_minus_and_a_dash_for_unknown(value, digits, shown):
    assert pages.number(value, digits) == shown
