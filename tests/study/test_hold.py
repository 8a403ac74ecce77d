import time

from study.hold import Hold


def test_packs_may_end_unless_one_is_starting():
    assert not Hold().is_on()


def test_packs_are_held_until_all_that_are_expected_have_started():
    hold = Hold()
    hold.expect("a", 60.0)
    hold.expect("b", 60.0)
    hold.started("a")
    assert hold.is_on()
    hold.started("b")
    assert not hold.is_on()


def test_a_start_that_was_not_expected_changes_nothing():
    hold = Hold()
    hold.expect("a", 60.0)
    hold.started("b")
    assert hold.is_on()


def test_a_hold_ends_by_itself():
    hold = Hold()
    hold.expect("a", 0.01)
    time.sleep(0.02)
    assert not hold.is_on()


def test_packs_are_kept_until_they_are_let_go():
    hold = Hold()
    hold.keep(60.0)
    assert hold.is_on()
    hold.keep(0.0)
    assert not hold.is_on()


def test_packs_are_kept_for_so_long_from_when_the_first_of_them_asks():
    hold = Hold()
    hold.keep(0.1)
    time.sleep(0.2)
    assert hold.is_on()
    time.sleep(0.2)
    assert not hold.is_on()
