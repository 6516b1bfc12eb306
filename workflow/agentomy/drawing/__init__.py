"""How figures look, and how they choose their rows."""
