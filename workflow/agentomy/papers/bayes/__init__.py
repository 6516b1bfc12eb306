"""Meta-trained agents implement Bayes-optimal agents (Mikulik et al. 2020)."""
