"""What is known of a GPU without one; the rest waits for one."""

from math import isfinite
from types import SimpleNamespace

import pytest
import torch

from tests.trainables.trials import RULES, study_of, task_of
from trainables import gpu
from trainables.device import CPU
from trainables.member import Member
from trainables.pack import seconds_together

GIB = 1 << 30


@pytest.mark.parametrize(
    ("peak", "share"),
    [
        (0.0, 0.0125),  # 80 contexts
        (0.8, 0.025),  # 40 packs of 2 GiB
        (7.2, 0.125),
        (25.0, 0.5),
        (50.0, 1.0),
        (80.0, 1.0),  # what does not fit
    ],
)
def test_as_many_packs_as_possible_share_a_gpu(peak, share):
    assert gpu.share_of(int(peak * GIB), 80 * GIB) == share


@pytest.mark.parametrize("peak", range(0, 40_000, 517))
def test_shares_have_the_digits_that_ray_knows_and_fit_into_the_gpu(peak):
    share = gpu.share_of(peak << 20, 80 * GIB)
    assert share == round(share, 4)
    assert int(1 / share) * (1.25 * peak / 1024 + 1) <= 80


def test_a_process_without_a_gpu_of_rays_trains_on_the_cpus():
    assert gpu.claimed([]) == CPU


@pytest.mark.parametrize(
    ("share", "allowed"), [(0.0125, 0.00625), (0.25, 0.2375), (1, 0.9875), (2, 1.0)]
)
def test_a_pack_may_take_its_share_less_what_a_process_takes_besides(monkeypatch, share, allowed):
    told = []
    properties = SimpleNamespace(total_memory=80 * GIB)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    monkeypatch.setattr(
        torch.cuda, "set_per_process_memory_fraction", lambda *given: told.append(given)
    )
    gpu.cap_memory(CPU, share)
    assert not told
    device = torch.device("cuda", 0)
    gpu.cap_memory(device, share)
    assert told == [(pytest.approx(allowed), device)]


@pytest.mark.parametrize("is_stacked", [True, False])
@pytest.mark.parametrize("loss", ["triplet", "smog"])
def test_a_pack_is_tried_stacked_where_it_can_be(monkeypatch, is_stacked, loss):
    stacked, alone = [], []

    def together(members, steps):
        stacked.append(seconds_together(members, steps))
        return stacked[-1]

    def each(member, steps):
        alone.append(member)
        return try_steps(member, steps)

    try_steps = Member.try_steps
    monkeypatch.setattr(gpu, "seconds_together", together)
    monkeypatch.setattr(Member, "try_steps", each)
    views = {"views": {"noise": {}}} if loss == "smog" else {}
    configuration = task_of(changes={"loss": {loss: {}}} | views).configuration
    gpu.try_pack(configuration, study_of(), RULES, 2, is_stacked, CPU)
    if is_stacked and loss == "triplet":
        (seconds,) = stacked
        assert isfinite(seconds)
        assert not alone
    else:
        assert not stacked
        assert len(alone) == 2 * len(study_of().folds)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_what_a_pack_takes_of_a_gpu_is_measured():
    device = gpu.claimed(["0"])
    configuration = task_of().configuration
    peak, total = gpu.measured_peak([configuration], study_of(), RULES, 2, True, device)
    assert 0 < peak < total / 10
