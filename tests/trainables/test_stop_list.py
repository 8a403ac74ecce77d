import time

import pytest

from trainables.stop_list import StopList


def test_a_pack_hears_only_of_its_own_trials():
    stop_list = StopList()
    stop_list.stop({"a": "pruned after epoch 2", "b": "pruned after epoch 3"})
    assert stop_list.orders(["a", "c"]) == ({"a": "pruned after epoch 2"}, False)


def test_an_interruption_reaches_every_pack():
    stop_list = StopList()
    stop_list.interrupt()
    assert stop_list.orders([]) == ({}, True)


def test_packs_may_end_unless_they_are_held():
    assert not StopList().is_held()


@pytest.mark.parametrize(("seconds", "is_held"), [(60.0, True), (0.0, False)])
def test_the_last_hold_counts(seconds, is_held):
    stop_list = StopList()
    stop_list.hold(30.0)
    stop_list.hold(seconds)
    assert stop_list.is_held() is is_held


def test_a_hold_ends_by_itself():
    stop_list = StopList()
    stop_list.hold(0.01)
    time.sleep(0.02)
    assert not stop_list.is_held()
