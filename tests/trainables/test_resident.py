"""Points on a device, which the device of shapes stands for where there is no GPU."""

import gc

import numpy as np
import pytest
import torch

from tests.trainables.trials import clouds, images
from trainables import resident
from trainables.device import CPU
from trainables.resident import ResidentPoints

ELSEWHERE = torch.device("meta")
ROWS = torch.tensor([8, 5, 39, 8])


@pytest.mark.parametrize("made", [clouds, images])
def test_batches_are_the_points_in_their_rows(made):
    points = made()
    taken = ResidentPoints(points, CPU).take(ROWS)
    for point, row in zip(taken, ROWS, strict=True):
        assert torch.equal(point, points.take(np.array([row]))[0])
    stacked = ResidentPoints(points, CPU).take(ROWS.view(2, 2))
    assert torch.equal(stacked.flatten(0, 1), taken)


@pytest.mark.parametrize("made", [clouds, images])
def test_batches_are_picked_on_a_device_that_holds_the_points_once(made):
    points = made()
    one, other = (ResidentPoints(points, ELSEWHERE) for _ in range(2))
    batch = one.take(ROWS)
    assert (batch.device, batch.dtype, batch.shape) == (
        ELSEWHERE,
        torch.float32,
        (4, *points.shape),
    )
    assert one._whole is other._whole
    assert one._whole.array.element_size() == points.points.itemsize
    del one, other
    gc.collect()
    assert not resident._held


def test_points_without_room_on_the_device_are_sent_in_batches(monkeypatch):
    monkeypatch.setattr(resident, "room", lambda device: 0)
    batches = ResidentPoints(clouds(), ELSEWHERE)
    assert batches._whole is None
    assert batches.take(ROWS).device == ELSEWHERE


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("made", [clouds, images])
def test_a_gpu_gives_the_same_batches(made):
    points, gpu = made(), torch.device("cuda", 0)
    taken = ResidentPoints(points, gpu).take(ROWS)
    torch.testing.assert_close(taken.to(CPU), points.take(ROWS))
