"""Tables of which tests of tables are made."""

from dataclasses import replace

import numpy as np
import pytest

from agentomy import kinds
from agentomy.tables import Column


def sequences(rows=3, steps=4):
    return kinds.bayes.SEQUENCES.table(
        episode=np.arange(rows),
        parameters=np.ones((rows, 2)),
        observations=np.arange(rows * steps).reshape(rows, steps),
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "table.parquet"


FREE = replace(
    kinds.common.COMPARISON,
    columns=(*kinds.common.COMPARISON.columns[:-1], Column("value", "number", "…", finite=False)),
)
