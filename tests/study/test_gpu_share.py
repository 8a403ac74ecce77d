"""The share of a GPU on a cluster that claims to have one."""

from io import StringIO

import pytest
import torch
from rich.console import Console

from study.config import BudgetSection
from study.errors import ConfigError
from study.gpu_share import largest, with_measured_share
from study.tuning import _resources
from tests.local_ray import local_ray
from tests.study.files import accepted

pytestmark = pytest.mark.ray
MEASURED = ["budget.gpus_per_pack: 1", "budget.gpu_share: measured"]


@pytest.fixture(scope="module")
def claiming_cluster():
    with local_ray(num_cpus=1, num_gpus=1):
        yield


def test_a_study_that_gives_a_share_keeps_it(tmp_path):
    study = accepted(tmp_path, "budget.gpus_per_pack: 0.5")
    assert with_measured_share(study, Console(file=StringIO())) is study


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch can use the GPU")
def test_a_gpu_that_cannot_be_tried_is_told_in_one_line(claiming_cluster, tmp_path):
    study = accepted(tmp_path, *MEASURED)
    with pytest.raises(ConfigError) as caught:
        with_measured_share(study, Console(file=StringIO()))
    (problem,) = caught.value.problems
    assert problem.startswith("cannot be measured: RuntimeError: Ray gives a GPU that torch ")
    assert "gpus_per_pack: 0" in problem


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_measured_share_replaces_a_whole_gpu(claiming_cluster, tmp_path):
    told = StringIO()
    study = with_measured_share(accepted(tmp_path, *MEASURED), Console(file=told))
    assert 0 < study.config.budget.gpus_per_pack < 1
    assert "of a GPU: measured were" in told.getvalue()


def test_the_largest_configuration_has_the_most_of_everything(tmp_path):
    study = accepted(
        tmp_path,
        "search.encoder.linear.width: {low: 8, high: 512, log: true}",
        "search.training.group_size: [3, 2]",
        "search.training.learning_rate: {low: 0.001, high: 0.1}",
        "search.loss.triplet.mining: [all, semi_hard]",
    )
    (combination,) = study.combinations
    configuration = largest(combination)
    assert configuration["encoder"]["linear"]["width"] == 512
    assert configuration["training"]["group_size"] == 3
    assert configuration["training"]["learning_rate"] == 0.1
    assert configuration["loss"]["triplet"]["mining"] == "semi_hard"


def test_each_pack_has_resources_of_its_own():
    budget = BudgetSection(cpus_per_pack=2, gpus_per_pack=0.25, memory_gib_per_pack=3.0)
    (found,) = _resources(budget, {"gpus": 1}).bundles
    assert found == {"CPU": 2, "GPU": 1, "memory": 3 << 30}
    (found,) = _resources(BudgetSection(), {"gpus": 0.0}).bundles
    assert found == {"CPU": 1}
