"""Which faults a run of the tests injects: a few, or with ``STUDY_FAULTS=all`` every one."""

import os

import pytest

IS_EVERY = os.environ.get("STUDY_FAULTS") == "all"
every = pytest.mark.skipif(not IS_EVERY, reason="one of the faults of `make fault-test`")
