"""Identifying sparsely active circuits through local loss landscape decomposition."""
