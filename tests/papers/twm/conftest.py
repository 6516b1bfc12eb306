from tests.papers.twm.small_worlds import episodes, given, parameters  # noqa: F401  fixtures
