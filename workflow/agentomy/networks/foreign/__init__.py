"""Networks of other libraries' agents, rebuilt from what `foreign_agents` recognised."""
