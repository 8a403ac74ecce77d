"""``mlflow models serve`` with a model of a study: asked over HTTP, with good and bad requests."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.study import finished_studies
from tests.study.mlflow_contents import database, free_port, models

NAME = "mlp+attention+triplet"
PATIENCE_SECONDS = 120


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    from study.sync import sync

    record = finished_studies.copy(tmp_path_factory.mktemp("modelled"))
    sync(record, None)
    return record


@pytest.fixture(scope="module")
def port(record, tmp_path_factory):
    """Where a server answers for the model, from a folder that holds none of our code."""
    port = free_port()
    location = models(database(record))[NAME].artifact_location
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"),
                *("--model-uri", location, "--host", "127.0.0.1", "--port", str(port)),
            ],
            cwd=log.parent,
            env=os.environ
            | {
                # MLflow calls uvicorn by its name.
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
            },
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + PATIENCE_SECONDS
        while not answers(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.2)
        yield port
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5) as response:
            return response.status == 200
    except OSError:
        return False


def asked(port, content):
    """Status and decoded answer of a request, whose body is text or becomes JSON."""
    body = content if isinstance(content, str) else json.dumps(content)
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        body.encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def rows(groups):
    return {"dataframe_records": [{"points": group} for group in groups]}


def example(record):
    tensors = load_file(
        record.files(record.result(f"{NAME}-0001-confirm-1")) / "example.safetensors"
    )
    return tensors["points"].tolist(), tensors["embeddings"]


def test_groups_get_the_embeddings_of_the_record(record, port):
    groups, embeddings = example(record)
    status, answer = asked(port, rows(groups))
    assert status == 200
    np.testing.assert_allclose(answer["predictions"], embeddings, atol=1e-5)


def test_a_ragged_request_gets_what_its_groups_get_alone(record, port):
    groups, embeddings = example(record)
    ragged = [groups[0], groups[1][:1], groups[2][:3], groups[3]]
    _, together = asked(port, rows(ragged))
    np.testing.assert_allclose(together["predictions"][0], embeddings[0], atol=1e-5)
    np.testing.assert_allclose(together["predictions"][3], embeddings[3], atol=1e-5)
    for place in (1, 2):
        split = {"columns": ["points"], "data": [[ragged[place]]]}
        _, alone = asked(port, {"dataframe_split": split})
        found = together["predictions"][place]
        np.testing.assert_allclose(found, alone["predictions"][0], atol=1e-5)


def test_named_pairs_get_distance_bound_and_certificate(record, port):
    groups, embeddings = example(record)
    params = {"answer": "pairs", "first": [0, 2, 1], "second": [1, 0, 1]}
    status, answer = asked(port, {**rows(groups), "params": params})
    assert status == 200
    pairs = answer["predictions"]
    assert [(pair["first"], pair["second"]) for pair in pairs] == [(0, 1), (2, 0), (1, 1)]
    for pair in pairs:
        apart = np.linalg.norm(embeddings[pair["first"]] - embeddings[pair["second"]])
        assert pair["distance"] == pytest.approx(apart, abs=1e-5)
        assert pair["certified_different"] is (pair["distance"] > pair["bound"])
    # Its points were tested, so the measured margin is true of them.
    assert pairs[2]["bound"] >= pairs[2]["distance"] == 0


def test_a_group_far_from_all_that_was_tested_is_certified_to_be_of_another_class(record, port):
    groups, _ = example(record)
    far = (1e4 * np.eye(64)[:4]).tolist()
    _, answer = asked(port, {**rows([groups[0], far]), "params": {"answer": "pairs"}})
    (pair,) = answer["predictions"]
    # What bounds the pair is how near the first group is to points of other classes.
    assert pair["distance"] > pair["bound"]
    assert pair["certified_different"] is True


GOOD = [[0.0] * 64]
BAD = {
    "no points": (rows([GOOD, []]), "row 1: a group must be one or more points of 64 numbers"),
    "another width": (rows([[[1.0, 2.0]]]), "row 0, point 0: must be 64 numbers, got 2"),
    "strings": (rows([GOOD, [["a"] * 64]]), "row 1, point 0: must be 64 numbers, got text"),
    "null": (rows([None, GOOD]), "row 0: a group must be one or more points of 64 numbers"),
    "no list": (rows([GOOD, 3]), "row 1: a group must be one or more points of 64 numbers"),
    "NaN": (rows([GOOD, [*GOOD, [float("nan")] * 64]]), "row 1, point 1: must be finite"),
    "infinity": (rows([[[float("inf")] * 64]]), "row 0, point 0: must be finite"),
    "an absent key": (
        {"dataframe_records": [{"points": GOOD}, {"groups": GOOD}]},
        "row 1: a group must be one or more points of 64 numbers",
    ),
    "another column": ({"dataframe_records": [{"group": GOOD}]}, "missing inputs ['points']"),
    "no rows": ({"dataframe_split": {"columns": ["points"], "data": []}}, "there are no rows"),
    "no table": ({"dataframe_records": []}, "missing inputs ['points']"),
    "no JSON": ("{", "valid JSON"),
    "another answer": (
        {**rows([GOOD]), "params": {"answer": "classes"}},
        "answer must be embeddings or pairs, got 'classes'",
    ),
    "an absent row": (
        {**rows([GOOD]), "params": {"answer": "pairs", "first": [0], "second": [1]}},
        "pairs must name rows from 0 to 0, got 1",
    ),
    "no numbers of rows": (
        {**rows([GOOD]), "params": {"answer": "pairs", "first": ["a"], "second": [0]}},
        "Invalid parameters found",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_request_is_the_senders_mistake_and_told_with_its_row(port, kind):
    content, told = BAD[kind]
    status, answer = asked(port, content)
    assert status == 400
    assert told in answer["message"]


def test_the_server_goes_on_after_bad_requests(record, port):
    asked(port, rows([[]]))
    groups, embeddings = example(record)
    _, answer = asked(port, rows(groups[:1]))
    np.testing.assert_allclose(answer["predictions"], embeddings[:1], atol=1e-5)
