"""Goal misgeneralisation, and the inside of a maze agent."""
