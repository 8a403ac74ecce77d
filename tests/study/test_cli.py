"""The command as a user calls it: output, exit code, and no traceback."""

import json
import subprocess
import sys
from importlib.metadata import version

import pytest
from click.testing import CliRunner

from study.cli import cli
from tests.level import everything
from tests.study.files import finished, written

BAD = """
name: a/b
data: {source: missing.parquet, split: point, folds: 0}
search:
  encoder: {mlpp: {}, linear: {width: {low: 64, high: 16}}}
  aggregator: {attention: {hiden: 8}}
  loss: {triplet: {margin: -1, level: points}}
  training: {epochs: 1e2, batch: 8}
budgett: {trials: 3}
algorithm: {sampler: tpee}
protocol: {sizes: [1, 0], metric: recall}
tracking: {uri: localhost:5000}
"""
TOLD = """\
bad.yaml: 16 problems
  name: must be 1 to 63 letters, digits, `.`, `-` or `_`, beginning with a letter, a digit or `_`, \
got 'a/b'
  data.split: must be one of classes, official, points, got 'point'; did you mean points?
  data.folds: must be at least 1, got 0
  algorithm.sampler: must be one of cmaes, gp, nsga2, qmc, random, tpe, got 'tpee'; did you mean \
tpe?
  protocol.sizes.1: must be at least 1, got 0
  protocol.metric: must be one of map_at_r, r_precision, recall_at_1, got 'recall'; did you mean \
recall_at_1?
  budgett: no such key; did you mean budget?
  search.encoder.mlpp: no such encoder; did you mean mlp?
  search.encoder.linear.width: low must not exceed high, got 64 > 16
  search.aggregator.attention.hiden: no such option; did you mean hidden?
  search.loss.triplet.margin: must be at least 0, got -1
  search.training.batch: no such option; choose from classes_per_batch, epochs, group_size, \
group_size_spread, group_views, groups_per_class, learning_rate, precision, weight_decay
  search.training.epochs: must be an integer, got 100.0
  tracking.uri: no address MLflow can track to, got 'localhost:5000'; use http(s)://HOST:PORT, \
sqlite:///FILE or postgresql://HOST/NAME
  data.source: missing.parquet: there is no such file
  search.loss.triplet.level: aggregator attention cannot learn from a loss on points only; use \
groups or both
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies")
    finished(folder, qualities=[0.5])
    finished(folder, "name: other", qualities=[0.75])
    return folder


def test_every_mistake_of_a_file_is_told_without_starting_an_engine(tmp_path):
    (tmp_path / "bad.yaml").write_text(BAD)
    program = (
        "import sys, study.cli\n"
        "sys.argv = ['study', 'check', 'bad.yaml']\n"
        "try:\n    study.cli.main()\n"
        "finally:\n    print(sorted({'ray', 'mlflow', 'sklearn'} & set(sys.modules)))\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert told.stderr == TOLD
    assert (told.returncode, told.stdout) == (2, "[]\n")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


@pytest.mark.parametrize("verb", ["check", "launch"])
def test_a_file_that_is_missing_is_one_line(called, tmp_path, verb):
    path = tmp_path / "missing.yaml"
    assert called(verb, path) == (2, "", f"{path}: cannot be read: No such file or directory\n")


def test_a_right_file_is_described(called, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(written())
    code, out, err = called("check", path, "--root", tmp_path, "--quick")
    assert (code, err) == (0, "")
    assert out.startswith(
        "study small: 1 combinations x 32 trials, 36 with those that are read on the test\n"
    )
    assert "loss.triplet.margin: 0.05 to 0.5, logarithmic" in out
    assert "encoder.linear.width = 16" in out


@pytest.mark.parametrize("verb", ["status", "report", "export", "sync"])
def test_an_unknown_study_is_one_line_with_the_nearest_name(called, root, verb):
    assert called(verb, "smal", "--root", root) == (
        2,
        "",
        f"{root}/smal: holds no study; did you mean small?\n",
    )


@pytest.mark.parametrize("verb", ["status", "report", "export", "sync"])
def test_a_damaged_study_is_one_line(called, tmp_path, verb):
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "study.json").write_text("{")
    code, out, err = called(verb, "torn", "--root", tmp_path)
    assert (code, out) == (2, "")
    assert err == f"{tmp_path}/torn: study.json: is damaged; restore it\n"


def test_status_tells_states_and_the_best(called, root):
    code, out, _ = called("status", "small", "--root", root)
    assert code == 0
    assert "1 complete" in out
    assert "no driver is at work" in out
    assert "linear+mean+triplet" in out


def test_export_writes_where_it_is_told(called, root, tmp_path):
    code, out, _ = called("export", "small", "--root", root, "--to", tmp_path / "export")
    assert code == 0
    assert out.splitlines() == [
        str(tmp_path / "export" / name) for name in ("linear+mean+triplet", "best")
    ]


def test_export_never_replaces_a_folder_of_something_else(called, root, tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    code, _, err = called("export", "small", "--root", root, "--to", tmp_path)
    assert code == 2
    assert err == (
        f"{tmp_path}: holds more than an export, such as mine.txt; name another with --to\n"
    )
    assert (tmp_path / "mine.txt").exists()


def test_studies_are_compared_by_name(called, root):
    code, out, _ = called("compare", "small", "other", "--root", root)
    assert code == 0
    assert out.splitlines()[1].split() == [
        *("linear+mean+triplet", "0.5000", "0.5000", "0.7500", "0.5000")
    ]
    assert called("compare", "small", "--root", root) == (
        2,
        "",
        "study compare: needs two different studies, got small\n",
    )


def test_a_study_file_is_written_and_not_overwritten(called, tmp_path):
    path = tmp_path / "digits.yaml"
    code, printed, _ = called("init", "digits")
    assert code == 0
    assert called("init", "digits", "--out", path) == (0, f"{path}; next: study check {path}\n", "")
    assert path.read_text() == printed
    code, _, err = called("init", "digits", "--out", path)
    assert (code, err) == (2, f"{path}: exists already; remove it or name another file\n")
    assert called("check", path, "--root", tmp_path, "--quick")[0] == 0


def test_components_are_listed_for_people_and_for_programs(called):
    code, table, _ = called("components")
    assert (code, table.splitlines()[0]) == (0, "encoder conv4")
    code, text, _ = called("components", "--json")
    assert (code, set(json.loads(text))) == (
        0,
        {"encoder", "aggregator", "loss", "views", "wrapper", "training"},
    )
    code, tables, _ = called("components", "--markdown")
    assert (code, tables.splitlines()[1]) == (0, "|---|---|---|---|")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chek", "x"], "No such command 'chek'."),
        (["check"], "Missing argument 'FILE'."),
        (["check", "x", "--rot", "y"], "No such option '--rot'."),
        (["compare"], "Missing argument 'NAMES...'."),
        (["ui", "--port", "0"], "Invalid value for '--port'"),
        (["init"], "Missing argument 'DATA'."),
    ],
)
def test_a_wrong_call_is_told_with_the_usage(called, arguments, message):
    code, out, err = called(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("Usage: study")


def test_every_verb_explains_itself():
    for name in cli.commands:
        told = CliRunner().invoke(cli, [name, "--help"])
        assert told.exit_code == 0
        assert told.output.startswith("Usage: cli " + name)


def test_the_version_is_that_of_the_package(called):
    code, out, _ = called("--version")
    assert (code, out.split()[-1]) == (0, version("groupstudy"))


@pytest.mark.parametrize("reader", ["head -1 > /dev/null", pytest.param("true", marks=everything)])
def test_a_pipe_that_closes_early_is_no_error(reader):
    told = subprocess.run(
        f"{sys.executable} -m study components --json | {reader}; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout == "0\n"
    assert told.stderr == ""
