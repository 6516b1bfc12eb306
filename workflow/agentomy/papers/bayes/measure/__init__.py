"""From tables to numbers."""
