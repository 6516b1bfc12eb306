"""Here so that pytest puts the repository on the path: tests import what they share as `tests.…`."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as the jobs do: on a busy machine more threads wait for each other
