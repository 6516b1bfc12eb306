from tests.small_runs import arms, categorical, player, predictor, quiet, rng  # noqa: F401  fixtures
