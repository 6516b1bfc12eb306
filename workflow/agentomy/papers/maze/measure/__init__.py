"""The metrics of the paper: tables become numbers."""
