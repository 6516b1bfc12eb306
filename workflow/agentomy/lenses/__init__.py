"""What looks into any agent; no lens knows a paper."""
