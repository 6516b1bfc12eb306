"""Rows that several lenses and papers choose or make in the same way."""

import numpy as np
import pandas as pd
import pyarrow as pa

from agentomy.tables import Kind

UNTRAINED = 0  # the update of a network that has not learned yet


def untrained_and_trained(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of each run's untrained networks and of those at the end of training, told apart by a column `agent`."""
    last = frame.groupby("run")["update"].transform("max")
    agent = np.select([frame["update"] == UNTRAINED, frame["update"] == last], ["untrained", "trained"], "")
    return frame.assign(agent=agent)[agent != ""]


def table_of(kind: Kind, rows: list[tuple]) -> pa.Table:
    """A table of a kind without list columns from its rows, whose cells are in the order of the kind's columns."""
    columns = zip(kind.columns, zip(*rows, strict=True), strict=True)
    return kind.table(**{column.name: np.array(values) for column, values in columns})
