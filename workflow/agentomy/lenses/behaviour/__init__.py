"""What agents do, of whatever library: whole games, the returns that others noted of them, and what they see."""
