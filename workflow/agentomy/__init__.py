"""agentomy: what happens inside learning agents, as tables, figures and claims."""
