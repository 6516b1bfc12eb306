"""Natural Langevin dynamics for neural networks (Marceau-Caron & Ollivier 2017)."""
