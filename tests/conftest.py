"""Here so that pytest puts the repository on the path: tests import what they share as `tests.…`."""
