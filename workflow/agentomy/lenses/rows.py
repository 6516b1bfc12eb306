"""Rows of a comparison: what claims are judged on."""

import numpy as np
import pyarrow as pa

from agentomy import kinds

# run, seed, quantity, value
Row = tuple[str, int, str, float]
ALL_TASKS = "all tasks"


def comparison_rows(rows: list[Row]) -> pa.Table:
    """`kinds.common.COMPARISON` of its rows."""
    run, seed, quantity, value = (np.array(column) for column in zip(*rows, strict=True))
    return kinds.common.COMPARISON.table(run=run, seed=seed, quantity=quantity, value=value.astype(float))
