from tests.foundation.small_tables import path  # noqa: F401  fixtures
from tests.foundation.toy_chain import toy, whole  # noqa: F401
from tests.foundation.toy_study import study  # noqa: F401
