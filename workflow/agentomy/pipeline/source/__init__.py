"""What code a job uses, read from the source."""
