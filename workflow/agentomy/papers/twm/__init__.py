"""Transformer-based world models are happy with 100k interactions (Robine et al. 2023)."""
