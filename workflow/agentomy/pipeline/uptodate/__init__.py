"""What is done and what is stale, by the records of jobs."""
