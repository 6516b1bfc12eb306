"""`agentomy decide`: a given time, spent on the seeds that decide claims."""
