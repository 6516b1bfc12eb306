"""Learning algorithms, one file each, and the driver that trains them all."""
