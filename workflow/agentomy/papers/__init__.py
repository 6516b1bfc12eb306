"""What one paper alone needs: a room each, in which `extract` runs networks, `measure` and `draw` read tables."""
