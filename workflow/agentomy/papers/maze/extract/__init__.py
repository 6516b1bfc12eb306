"""What its networks do and hold, as tables."""
