"""Its figures, from tables."""
