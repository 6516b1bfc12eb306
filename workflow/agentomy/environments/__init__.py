"""What agents learn from: tasks, levels, data and simulators, and exact solutions of some."""
