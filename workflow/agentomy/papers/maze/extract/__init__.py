"""What the networks of the paper do and hold, as tables."""
