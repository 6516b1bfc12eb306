"""Runs one job: its process, its tables, its function."""
