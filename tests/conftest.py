"""Here so that pytest puts this folder on the path: tests import the made-up tables beside it."""
