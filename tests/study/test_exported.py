import pytest
import yaml

from study.errors import ConfigError, RecordError
from study.export import export
from study.exported import dump, exported, load
from tests.study.files import finished


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("studies"), qualities=[0.1 + 0.2])


@pytest.fixture
def content(record):
    (result,) = record.results()
    return exported(record, result, [])


def changed(folder, content, path, value):
    """A configuration file in which one value stands elsewhere than it should."""
    tree = yaml.safe_load(dump(content))
    *above, last = path.split("/")
    section = tree
    for key in above:
        section = section[key]
    section[last] = value
    file = folder / "configuration.yaml"
    file.write_text(yaml.safe_dump(tree))
    return file


def test_a_configuration_file_is_read_back_to_the_last_digit(tmp_path, content):
    path = tmp_path / "configuration.yaml"
    path.write_text(dump(content))
    assert load(path) == content
    assert load(path).search.metrics["val/map_at_r.size2"] == 0.1 + 0.2


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("seeds", 3, "seeds: no such key; did you mean seed?"),
        ("study", 3, "study: must be text, got 3"),
        ("data/folds", 0, "data.folds: must be at least 1, got 0"),
        ("search", None, "search: must be a section of keys, got nothing"),
        ("search/seed", 3, "search.seed: no such key; did you mean seeds?"),
        ("search/seeds", [1], "search.seeds: must be 2, one for each member"),
        ("search/seeds", ["a", 2], "search.seeds.0: must be an integer, got 'a'"),
        (
            "search/execution/threads",
            0,
            "search.execution.threads: must be at least 1, got 0",
        ),
        ("search/execution", {}, "search.execution.threads: must be at least 1, got nothing"),
        ("protocol/size", 7, "protocol.size: must be one of sizes [1, 2], got 7"),
        ("configuration/encoder", 3, "configuration.encoder: must be a section of keys, got 3"),
        (
            "configuration/encoder",
            {"linnear": {}},
            "configuration.encoder.linnear: no such encoder; did you mean linear?",
        ),
        (
            "configuration/encoder",
            {"linear": {"width": 8}, "mlp": {}},
            "configuration.encoder: must name one component, names linear, mlp",
        ),
        (
            "configuration/encoder/linear/width",
            0,
            "configuration.encoder.linear.width: must be at least 1, got 0",
        ),
        (
            "configuration/encoder/linear/width",
            [8, 16],
            "configuration.encoder.linear.width: must be one value",
        ),
        (
            "configuration/training/epoch",
            3,
            "configuration.training.epoch: no such option; did you mean epochs?",
        ),
    ],
)
def test_a_changed_configuration_file_is_refused_where_it_is_wrong(
    tmp_path, content, path, value, problem
):
    with pytest.raises(ConfigError) as caught:
        load(changed(tmp_path, content, path, value))
    assert caught.value.problems == [problem]


def test_an_export_holds_a_folder_for_each_combination_and_the_best(tmp_path, record):
    folders = export(record, tmp_path / "export")
    assert [folder.name for folder in folders] == ["linear+mean+triplet", "best"]
    for folder in folders:
        assert {path.name for path in folder.iterdir()} == {
            *("configuration.yaml", "card.md", "weights.safetensors")
        }
        assert load(folder / "configuration.yaml").combination == "linear+mean+triplet"


def test_exporting_again_replaces_the_export(tmp_path, record):
    export(record, tmp_path / "export")
    (tmp_path / "export" / "best" / "card.md").write_text("old")
    export(record, tmp_path / "export")
    assert (tmp_path / "export" / "best" / "card.md").read_text() != "old"


def test_a_folder_that_holds_anything_else_is_never_replaced(tmp_path, record):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(RecordError, match=r"holds more than an export, such as mine\.txt"):
        export(record, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "precious"
    with pytest.raises(RecordError, match="is not a folder"):
        export(record, tmp_path / "mine.txt")


def test_a_place_that_cannot_be_written_is_told(record, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="cannot be written: Not a directory"):
        export(record, tmp_path / "file" / "export")


def test_nothing_can_be_exported_before_a_trial_is_complete(tmp_path):
    record = finished(tmp_path, "search.encoder: {linear: {width: 8}}", qualities=[0.5])
    (record.trials_folder / "linear+mean+triplet-0000" / "result.json").unlink()
    with pytest.raises(RecordError, match="has no complete trial; nothing can be exported"):
        export(record, tmp_path / "export")
