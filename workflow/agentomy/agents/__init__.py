"""What learns: one file an algorithm, and the one driver that trains them all."""
