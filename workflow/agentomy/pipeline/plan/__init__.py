"""A study file becomes jobs; every mistake in it ends here, in one line."""
