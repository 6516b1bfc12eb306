"""Which jobs are done and which are stale, according to their records."""
