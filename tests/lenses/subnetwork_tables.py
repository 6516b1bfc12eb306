"""Tables of impacts, matches and logs of subnetworks, as they would be measured."""

import numpy as np
import pyarrow as pa

from agentomy import kinds, tables
from agentomy.tables import Table
from tests.described import trained

KEY = {"run": "r", "seed": 3, "condition": "learned"}


def point_table(inputs: np.ndarray, unit: np.ndarray | None = None) -> Table:
    """Decomposed points, after others that are to learn from; and the targets of single features."""
    pieces = {"train": np.ones((2, inputs.shape[1])), "decomposed": inputs}
    if unit is not None:
        pieces["unit"] = np.eye(len(unit))
    rows = [
        kinds.subnetworks.POINTS.table(
            sample=np.arange(len(x)), split=split, inputs=x, targets=x if split != "unit" else unit
        )
        for split, x in pieces.items()
    ]
    return Table(kinds.subnetworks.POINTS, rows=pa.concat_tables(rows))


def impact_rows(impact: np.ndarray, active=None, missed=0.0, size=1.0, **key) -> pa.Table:
    active = np.ones_like(impact) if active is None else active
    samples = np.arange(len(impact))
    return kinds.subnetworks.IMPACTS.table(
        **KEY | key, sample=samples, impact=impact, active=active, missed=missed, size=size
    )


def impact_table(*rows: pa.Table) -> Table:
    return Table(kinds.subnetworks.IMPACTS, rows=pa.concat_tables(rows))


def models_table(**learned: list) -> Table:
    """Whether models have learned: name → by seed, 1 or 0."""
    rows = [
        kinds.subnetworks.MODELS.table(
            run=name, seed=np.arange(len(flags)), mean_squared_error=0.1, passed_over=4, learned=np.array(flags, bool)
        )
        for name, flags in learned.items()
    ]
    return Table(kinds.subnetworks.MODELS, rows=pa.concat_tables(rows))


def matched_table(block, active, selectivity, learned=True, **key) -> Table:
    active = np.array(active)
    rows = kinds.subnetworks.MATCHED.table(
        **KEY | key,
        subnetwork=np.arange(len(active)),
        block=np.array(block),
        active=active,
        live=active > 0.005,
        selectivity=np.array(selectivity),
        learned=learned,
    )
    return Table(kinds.subnetworks.MATCHED, rows=rows)


def measures(rows: pa.Table, **key) -> dict:
    """The columns of the only row with this key, but for those of the key."""
    key = {name: value for name, value in (KEY | key).items() if name in rows.column_names}
    (row,) = [row for row in rows.to_pylist() if {name: row[name] for name in key} == key]
    return {name: value for name, value in row.items() if name not in key}


# ---- logs ------------------------------------------------------------------------------------------------------------


def log_files(folder, runs: dict[str, dict], **parameters) -> Table:
    """Logs of runs: name → quantity → values [updates, seeds], reported every ten updates."""
    for name, quantities in runs.items():
        pieces = [
            kinds.common.LOG.table(
                run=name, seed=np.arange(len(row)), update=10 * (i + 1), quantity=quantity, value=np.array(row)
            )
            for quantity, values in quantities.items()
            for i, row in enumerate(values)
        ]
        described = trained(run=name, **parameters)
        tables.write(folder / f"{name}.parquet", kinds.common.LOG, pa.concat_tables(pieces), described)
    return Table(kinds.common.LOG, [folder / f"{name}.parquet" for name in runs])
