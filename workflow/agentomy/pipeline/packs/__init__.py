"""Packs: one archive of a study's results, to be used elsewhere without training."""
