"""How parameters move while an agent learns."""
