"""What an export of a real study holds; how folders are replaced stands with the file's tests."""

import json
import subprocess
import sys
from dataclasses import replace
from zipfile import ZipFile

import numpy as np
import pytest
from safetensors.numpy import load_file

from study.errors import RecordError
from study.export import confirmed as confirmation_of
from study.export import export
from study.exported import load
from tests.study import finished_studies

NAMES = ["mlp+mean+triplet", "mlp+attention+triplet"]
CONFIRMED = {name: f"{name}-0001-confirm-1" for name in NAMES}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A study whose confirmations are still to come, and its export."""
    return exported(tmp_path_factory.mktemp("searched"), phase="search")


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory):
    """A finished study and its export."""
    return exported(tmp_path_factory.mktemp("confirmed"))


def exported(root, **which):
    record = finished_studies.copy(root, **which)
    export(record, root / "export")
    return record, root / "export"


def quality(record, key, name):
    return record.result(key).outcome.metrics[name]


def best(record):
    """The combination whose second trial, the only complete one, is best."""
    return max(NAMES, key=lambda name: quality(record, f"{name}-0001", "val/map_at_r.size3"))


@pytest.mark.parametrize("name", NAMES)
def test_the_configuration_is_that_of_the_best_complete_trial_with_all_its_figures(confirmed, name):
    record, folder = confirmed
    content = load(folder / name / "configuration.yaml")
    found = record.result(f"{name}-0001")
    assert content.configuration == found.trial.configuration
    for run, key in [
        (content.search, f"{name}-0001"),
        (content.confirmations[0], CONFIRMED[name]),
    ]:
        result = record.result(key)
        assert (run.key, run.seeds) == (key, result.trial.seeds)
        assert (run.metrics, run.execution) == (result.outcome.metrics, result.outcome.execution)


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_those_of_the_confirmation(confirmed, name):
    record, folder = confirmed
    files = record.files(record.result(CONFIRMED[name]))
    written = (folder / name / "weights.safetensors").read_bytes()
    assert written == (files / "weights.safetensors").read_bytes()


def test_weights_of_an_unconfirmed_trial_hold_one_member_for_each_fold(searched):
    _, folder = searched
    weights = load_file(folder / NAMES[0] / "weights.safetensors")
    assert {name.split(".")[0] for name in weights} == {"0", "1"}


def test_best_is_the_best_combination_and_a_copy_of_it(confirmed):
    record, folder = confirmed
    for file in ("configuration.yaml", "card.md", "weights.safetensors"):
        original = folder / best(record) / file
        assert (folder / "best" / file).read_bytes() == original.read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_a_card_tells_the_test_figure_first_and_how_far_it_can_be_trusted(confirmed, name):
    record, folder = confirmed
    tested = quality(record, CONFIRMED[name], "test/map_at_r.size3")
    validated = quality(record, f"{name}-0001", "val/map_at_r.size3")
    card = (folder / name / "card.md").read_text().splitlines()
    assert card[0] == f"# {name}, from study tiny"
    assert card[2] == (
        f"Test map_at_r.size3 {tested:.4f}: one fresh seed; validation map_at_r.size3 "
        f"{validated:.4f} (mean over folds, best of the search, hence optimistic)."
    )
    assert f"| `test/map_at_r.size3` | {tested:.6g} |" in card
    assert not any("train/loss" in line or "`val/map_at_r.size1`" in line for line in card)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """A finished study, and the export that the command writes."""
    # In a process of its own: shape checks have no place in a trace.
    root = tmp_path_factory.mktemp("programs")
    record = finished_studies.copy(root)
    command = [sys.executable, "-m", "study", "export", "tiny", "--root", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return record, record.folder / "export"


@pytest.mark.parametrize("name", NAMES)
def test_a_program_gives_the_embeddings_of_the_record_without_any_of_our_code(programs, name):
    record, folder = programs
    files = record.files(record.result(CONFIRMED[name]))
    script = (
        "import sys, numpy, torch\n"
        "from safetensors.torch import load_file\n"
        "run = torch.export.load(sys.argv[1]).module()\n"
        "points = load_file(sys.argv[2])['points']\n"
        "padded = torch.full((len(points), 6, *points.shape[2:]), torch.nan)\n"
        "padded[:, 1 : 1 + points.shape[1]] = points\n"
        "mask = ~padded.isnan().any(2)\n"
        "print(run(padded, mask).tolist())\n"
        "assert not {'study', 'trainables'} & set(sys.modules)\n"
    )
    paths = (folder / name / "model.pt2", files / "example.safetensors")
    command = [sys.executable, "-W", "ignore", "-c", script, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    expected = load_file(files / "example.safetensors")["embeddings"]
    np.testing.assert_allclose(json.loads(done.stdout), expected, atol=1e-5)


def test_a_program_holds_no_pickle(programs):
    _, folder = programs
    with ZipFile(folder / "best" / "model.pt2") as archive:
        content = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    payloads = [
        payload
        for name in ("weights", "constants")
        for payload in json.loads(content[f"data/{name}/model_{name}_config.json"])[
            "config"
        ].values()
    ]
    assert payloads
    assert not any(payload["use_pickle"] for payload in payloads)
    assert content["data/sample_inputs/model.pt"] == b""


def test_a_card_tells_the_shapes_of_the_program_or_how_to_get_one(programs, confirmed):
    for name in (*NAMES, "best"):
        card = (programs[1] / name / "card.md").read_text()
        assert "`(points [groups, points, 64], mask [groups, points]) -> [groups, 16]`" in card
        assert (programs[1] / name / "model.pt2").exists()
    card = (confirmed[1] / "best" / "card.md").read_text()
    assert "- No `model.pt2`: `" in card
    assert "study export tiny" in card
    assert not (confirmed[1] / "best" / "model.pt2").exists()


def test_a_card_says_when_nothing_was_confirmed(searched):
    record, folder = searched
    validated = quality(record, f"{NAMES[0]}-0001", "val/map_at_r.size3")
    card = (folder / NAMES[0] / "card.md").read_text()
    assert card.splitlines()[2] == (
        f"Not confirmed on the test points; validation map_at_r.size3 {validated:.4f} (mean over "
        "folds, best of the search)."
    )
    assert "one member for each fold" in card
    assert "test/" not in card


def test_a_failed_confirmation_is_left_out(tmp_path):
    record = finished_studies.copy(tmp_path)
    result = record.result(CONFIRMED[NAMES[0]])
    failed = replace(result.outcome, state="failed", reason="its process died", metrics={})
    record.publish(result.trial, result.attempt, failed)
    assert confirmation_of(record.results(), record.result(f"{NAMES[0]}-0001")) == []
    export(record, tmp_path / "export")
    assert load(tmp_path / "export" / NAMES[0] / "configuration.yaml").confirmations == ()
    assert len(load(tmp_path / "export" / NAMES[1] / "configuration.yaml").confirmations) == 1


def test_every_seed_is_exported_in_order_and_the_card_has_their_mean_and_interval(tmp_path):
    record = finished_studies.copy(tmp_path)
    name = NAMES[0]
    result = record.result(CONFIRMED[name])
    values = {1: 0.5, 2: 0.6, 10: 0.7}
    for number, value in values.items():
        trial = replace(result.trial, key=f"{name}-0001-confirm-{number}", seeds=(number,))
        metrics = {**result.outcome.metrics, "test/map_at_r.size3": value}
        record.plan(trial)
        record.publish(trial, result.attempt, replace(result.outcome, metrics=metrics))
    export(record, tmp_path / "export")
    content = load(tmp_path / "export" / name / "configuration.yaml")
    assert [run.seeds for run in content.confirmations] == [(1,), (2,), (10,)]
    assert content.versions == record.manifest["versions"]
    claim = (tmp_path / "export" / name / "card.md").read_text().splitlines()[2]
    # 0.1 is the deviation of the three, 4.3027 the quantile of t for two degrees of freedom.
    low, high = 0.6 - 4.30265 * 0.1 / 3**0.5, 0.6 + 4.30265 * 0.1 / 3**0.5
    assert claim.startswith(
        f"Test map_at_r.size3 0.6000 [{low:.4f}, {high:.4f}]: 3 fresh seeds, mean [95% interval]; "
    )


def test_a_combination_that_is_no_longer_complete_leaves_no_folder_behind(tmp_path):
    record, folder = exported(tmp_path)
    (record.trials_folder / f"{NAMES[0]}-0001" / "result.json").unlink()
    assert [path.name for path in export(record, folder)] == [NAMES[1], "best"]
    assert {path.name for path in folder.iterdir()} == {NAMES[1], "best"}
    assert {path.name for path in tmp_path.iterdir()} == {"tiny", "export", "mlflow.db"}


def test_a_study_of_early_ends_only_has_nothing_to_export_and_keeps_its_export(tmp_path):
    record, folder = exported(tmp_path)
    for name in NAMES:
        (record.trials_folder / f"{name}-0001" / "result.json").unlink()
    with pytest.raises(RecordError, match="has no complete trial; nothing can be exported"):
        export(record, folder)
    assert (folder / "best" / "weights.safetensors").exists()
