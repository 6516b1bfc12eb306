"""Sparsely active subnetworks from loss gradients (L3D)."""
