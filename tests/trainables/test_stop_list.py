import time

from trainables.stop_list import StopList


def test_a_pack_hears_only_of_its_own_trials():
    stop_list = StopList()
    stop_list.stop({"a": "pruned after epoch 2", "b": "pruned after epoch 3"})
    assert stop_list.orders(["a", "c"]) == ({"a": "pruned after epoch 2"}, False)


def test_an_interruption_reaches_every_pack():
    stop_list = StopList()
    stop_list.interrupt()
    assert stop_list.orders([]) == ({}, True)


def test_packs_may_end_unless_one_is_starting():
    assert not StopList().is_held()


def test_packs_are_held_until_all_that_are_expected_have_started():
    stop_list = StopList()
    stop_list.expect("a", 60.0)
    stop_list.expect("b", 60.0)
    stop_list.started("a")
    assert stop_list.is_held()
    stop_list.started("b")
    assert not stop_list.is_held()


def test_a_start_that_was_not_expected_changes_nothing():
    stop_list = StopList()
    stop_list.expect("a", 60.0)
    stop_list.started("b")
    assert stop_list.is_held()


def test_a_hold_ends_by_itself():
    stop_list = StopList()
    stop_list.expect("a", 0.01)
    time.sleep(0.02)
    assert not stop_list.is_held()


def test_packs_are_kept_until_they_are_let_go():
    stop_list = StopList()
    stop_list.keep(60.0)
    assert stop_list.is_held()
    stop_list.keep(0.0)
    assert not stop_list.is_held()


def test_packs_are_kept_for_so_long_from_when_the_first_of_them_asks():
    stop_list = StopList()
    stop_list.keep(0.1)
    time.sleep(0.2)
    assert stop_list.is_held()
    time.sleep(0.2)
    assert not stop_list.is_held()


def test_packs_that_are_interrupted_end():
    stop_list = StopList()
    stop_list.keep(60.0)
    stop_list.expect("a", 60.0)
    stop_list.interrupt()
    assert not stop_list.is_held()
