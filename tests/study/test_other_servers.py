"""An MLflow server that answers otherwise than ours: one line of warning, and the study goes on."""

import json
import logging
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.level import everything
from tests.study import finished_studies, mlflow_contents
from tests.study.finished_studies import TESTED, TRIALS

ALL = 1 + TRIALS + TESTED
UNKNOWN = {"error_code": "FEATURE_FROM_THE_FUTURE", "message": "use API 9.0"}


@contextmanager
def answering(refuses, behind=None):
    """A server that refuses some paths in words we do not know, and passes the rest on."""

    class Handler(BaseHTTPRequestHandler):
        def do_any(self):
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if refuses(self.path):
                return self.answer(501, json.dumps(UNKNOWN).encode())
            kind = {"Content-Type": self.headers.get("Content-Type", "application/json")}
            address = f"{behind}{self.path}"
            request = urllib.request.Request(address, content or None, kind, method=self.command)
            try:
                with urllib.request.urlopen(request, timeout=30) as found:
                    return self.answer(found.status, found.read())
            except urllib.error.HTTPError as error:
                return self.answer(error.code, error.read())

        def answer(self, code, content):
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            """Keeps the terminal free."""

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_any  # noqa: N815

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def followed(record, caplog):
    """The warnings while a study runs from its beginning to its end."""
    from study.tracking import Tracker

    with caplog.at_level(logging.WARNING), Tracker(record) as tracker:
        for result in finished_studies.results(record):
            tracker.notify(finished_studies.publish(record, result))
    return caplog.messages


def test_a_server_that_understands_nothing_costs_one_line(tmp_path, caplog):
    with answering(lambda path: True) as address:
        record = finished_studies.copy(tmp_path, address, phase="nothing")
        (warning,) = followed(record, caplog)
    assert warning.startswith(f"MLflow at {address} cannot be written (")
    assert warning.endswith(f"`study sync tiny --root {tmp_path}` catches up")
    assert "use API 9.0" in warning
    assert "\n" not in warning
    assert len(record.results()) == TRIALS + TESTED


def test_a_sync_to_such_a_server_is_refused_in_one_line(tmp_path):
    from study.errors import TrackingError
    from study.sync import sync

    record = finished_studies.copy(tmp_path, phase="nothing")
    with answering(lambda path: True) as address, pytest.raises(TrackingError) as caught:
        sync(record, address)
    assert "use API 9.0" in str(caught.value)
    assert "\n" not in str(caught.value)


@everything
def test_a_server_without_models_has_all_runs_ended(tmp_path, caplog):
    port = mlflow_contents.free_port()
    with (
        mlflow_contents.serving(tmp_path, port) as server,
        answering(lambda path: "logged-models" in path, server) as address,
    ):
        record = finished_studies.copy(tmp_path, address, phase="nothing")
        (warning,) = followed(record, caplog)
        assert "use API 9.0" in warning
        found = mlflow_contents.runs(server)
        assert len(found) == ALL
        assert {run.info.status for run in found.values()} == {"FINISHED"}
