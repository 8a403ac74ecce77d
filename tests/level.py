"""What a run tests: enough for every change, or with ``STUDY_COMBINATIONS=all`` everything."""

import os

import pytest

IS_EVERYTHING = os.environ.get("STUDY_COMBINATIONS") == "all"
everything = pytest.mark.skipif(not IS_EVERYTHING, reason="one of the tests of `make test-all`")
