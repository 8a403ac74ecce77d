import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from study import cli
from study.bring import bring
from study.check import prepare
from study.errors import ConfigError
from study.initial import write
from tests.study import images
from trainables.sources import read_parquet


@pytest.fixture
def source(tmp_path):
    for side in ("train", "test"):
        for row, name in enumerate(("cat", "dog")):
            folder = tmp_path / "images" / side / name
            folder.mkdir(parents=True)
            Image.new("L", (3, 2), row).save(folder / "1.png")
    return tmp_path / "images"


def run_main(monkeypatch, capsys, *arguments):
    """Exit code and error output of the console script."""
    monkeypatch.setattr("sys.argv", ["study", "data", "import", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code, capsys.readouterr().err


def test_a_folder_of_images_becomes_a_file_that_studies_read(source, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["study"])
    out = tmp_path / "points.parquet"
    result = CliRunner().invoke(cli.cli, ["data", "import", str(source), str(out)])
    assert result.exit_code == 0
    assert result.output == (
        f"{out}: 4 points of shape (1, 2, 3), 2 classes; the official split holds out 2 points for "
        "the test\n"
        f"next: study init {out} --out {tmp_path}/points.yaml\n"
    )
    points = read_parquet(out)
    assert points.classes == ("cat", "dog")
    assert points.is_test.tolist() == [False, False, True, True]


def test_the_size_option_resizes_all_images(source, tmp_path):
    out = tmp_path / "points.parquet"
    arguments = ["data", "import", str(source), str(out), "--size", "5"]
    assert CliRunner().invoke(cli.cli, arguments).exit_code == 0
    assert read_parquet(out).shape == (1, 5, 5)


@pytest.mark.parametrize("size", ["0", "-1", "small"])
def test_an_impossible_size_is_the_users_mistake(source, tmp_path, size):
    arguments = ["data", "import", str(source), str(tmp_path / "points.parquet"), "--size", size]
    result = CliRunner().invoke(cli.cli, arguments)
    assert result.exit_code == 2
    assert "--size" in result.output


def test_data_without_a_split_are_described_without_one(tmp_path):
    np.savez(tmp_path / "points.npz", x=np.eye(3), y=[0, 0, 1])
    out = tmp_path / "points.parquet"
    first, _ = bring(tmp_path / "points.npz", out).splitlines()
    assert first == f"{out}: 3 points of shape (3,), 2 classes"


def test_what_comes_next_is_told_ready_to_be_pasted(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["study"])
    np.savez(tmp_path / "points.npz", x=np.eye(3), y=[0, 0, 1])
    (tmp_path / "my data").mkdir()
    out = tmp_path / "my data" / "points.parquet"
    assert bring(tmp_path / "points.npz", out).splitlines()[1] == (
        f"next: study init '{out}' --out '{tmp_path}/my data/points.yaml'"
    )


def test_classes_may_be_called_in_any_script_and_with_spaces(tmp_path):
    names = ("null", "number three", "ноль", "один")
    images.write(tmp_path / "мои цифры", names, each=8)
    out = tmp_path / "мои цифры.parquet"
    bring(tmp_path / "мои цифры", out)
    assert read_parquet(out).classes == names
    write(str(out), tmp_path / "study.yaml")
    study = prepare(tmp_path / "study.yaml", tmp_path)
    assert study.config.name == "мои_цифры"
    assert "4 classes (null, number three, ноль, ...)" in (tmp_path / "study.yaml").read_text()


def test_every_problem_of_a_source_is_printed_without_traceback(
    source, tmp_path, monkeypatch, capsys
):
    for name in ("train/cat", "test/dog"):
        (source / name / "1.png").write_bytes(b"damaged")
    code, text = run_main(monkeypatch, capsys, source, tmp_path / "points.parquet")
    assert code == 2
    assert text == (
        f"{source}: 2 problems\n"
        f"  {source}/train/cat/1.png: is no image that can be read; replace or remove it\n"
        f"  {source}/test/dog/1.png: is no image that can be read; replace or remove it\n"
    )
    assert not (tmp_path / "points.parquet").exists()


def test_a_missing_source_is_named_once(tmp_path, monkeypatch, capsys):
    source = tmp_path / "missing"
    code, text = run_main(monkeypatch, capsys, source, tmp_path / "points.parquet")
    assert (code, text) == (2, f"{source}: there is no such file or folder\n")


def test_what_is_wrong_with_the_target_is_said_before_the_source_is_read(
    tmp_path, monkeypatch, capsys
):
    out = tmp_path / "missing/points.txt"
    code, text = run_main(monkeypatch, capsys, tmp_path / "no source", out)
    assert code == 2
    assert text == (
        f"{out}: 2 problems\n"
        "  must end in .parquet, so that study files can name it\n"
        f"  cannot be written: {tmp_path}/missing is no folder; create it first\n"
    )


@pytest.mark.parametrize("is_there", [False, True])
def test_a_failed_write_leaves_what_was_there(source, tmp_path, monkeypatch, is_there):
    out = tmp_path / "points.parquet"
    if is_there:
        out.write_bytes(b"before")

    def fill_the_disk(points, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("study.bring.write_parquet", fill_the_disk)
    with pytest.raises(ConfigError) as caught:
        bring(source, out)
    assert str(caught.value) == f"{out}: cannot be written: No space left on device"
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"images", "points.parquet"} if is_there else left == {"images"}
    assert not is_there or out.read_bytes() == b"before"


def test_a_target_that_is_a_folder_is_the_users_mistake(source, tmp_path):
    (tmp_path / "points.parquet").mkdir()
    arguments = ["data", "import", str(source), str(tmp_path / "points.parquet")]
    assert CliRunner().invoke(cli.cli, arguments).exit_code == 2
    with pytest.raises(ConfigError, match="cannot be written: Is a directory"):
        bring(source, tmp_path / "points.parquet")
