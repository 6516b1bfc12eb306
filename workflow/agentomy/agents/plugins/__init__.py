"""Plug-ins: each wraps any agent, is an agent itself, and now and then replaces what the agent has learnt."""
