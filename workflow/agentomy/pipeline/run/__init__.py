"""Runs one job: its process, its tables, its function."""

EXIT_FAILED, EXIT_STOPPED = 1, 130  # of a job, which has said why
