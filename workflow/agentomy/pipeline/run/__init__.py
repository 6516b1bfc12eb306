"""One job: its process, its tables, its function."""
