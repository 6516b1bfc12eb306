"""How the parameters of each layer moved: quantiles and single numbers (section 1, claims 1 and 2)."""

from collections.abc import Iterator

import numpy as np

from agentomy import kinds
from agentomy.tables import Table

CAP, NOTHING = 1e6, 1e-12  # a detour's largest value, and a final change that counts as none
QUANTITIES = ("accumulated", "final", "detour", "flips")


def change(moves: kinds.MOVES, *, quantiles: int) -> kinds.CHANGE:
    """Quantiles over the parameters of each layer, evenly spaced from 0 to 1; those that never moved have no detour."""
    places = np.linspace(0, 1, quantiles)
    for who, values in _layers(moves):
        for quantity in QUANTITIES:
            found = values[quantity]
            if len(found):
                yield kinds.CHANGE.table(**who, quantity=quantity, quantile=places, value=np.quantile(found, places))


def activity(moves: kinds.MOVES) -> kinds.ACTIVITY:
    """How unequally the parameters of each layer moved, and how far from straight."""
    for who, values in _layers(moves):
        way, detours = values["accumulated"], values["detour"]
        numbers = {
            "gini": gini(way),
            "top tenth": top_share(way, 0.1),
            "never moved": float((way == 0).mean()),
            "dead": values["dead"],
            "capped": float((detours == CAP).mean()) if len(detours) else 0.0,
        }
        low, high = np.quantile(way, [0.1, 0.9])
        if low > 0:
            numbers["p90/p10"] = high / low
        if len(detours):
            for share in (10, 50, 90):
                numbers[f"detour p{share}"] = np.quantile(detours, share / 100)
            for bound in (2, 5, 10):
                numbers[f"detour > {bound}"] = (detours > bound).mean()
        yield kinds.ACTIVITY.table(
            **who, quantity=np.array([*numbers]), value=np.array([float(each) for each in numbers.values()])
        )


def gini(values: np.ndarray) -> float:
    """Gini coefficient of values ≥ 0: 0 if all are equal, towards 1 if one has all."""
    ordered, count = np.sort(values), len(values)
    total = ordered.sum()
    return float((2 * np.arange(1, count + 1) - count - 1) @ ordered / (count * total)) if total else 0.0


def top_share(values: np.ndarray, share: float) -> float:
    """What part of the sum the largest `share` of the values holds."""
    top = np.sort(values)[::-1][: max(1, round(share * len(values)))]
    return float(top.sum() / values.sum()) if values.sum() else 0.0


def detours(accumulated: np.ndarray, final: np.ndarray) -> np.ndarray:
    """Accumulated over final change, of the parameters that moved at all; ≥ 1, and capped."""
    moved = accumulated > 0
    way, distance = accumulated[moved], final[moved]
    ratio = np.full(len(way), CAP)
    near = distance >= NOTHING
    ratio[near] = np.minimum(way[near] / distance[near], CAP)
    return np.maximum(ratio, 1.0)  # rounding of single precision


def _layers(moves: Table) -> Iterator[tuple[dict, dict]]:
    """Who and what of every run, seed, path, period and layer: of all parameters, and of those of no dead unit.

    One run and seed is held at a time; a layer's tensors lie in several rows.
    """
    held: dict[tuple, list] = {}
    current = None
    for rows in moves.groups():
        part = moves.of(rows)
        record = part.frame().to_dict("records")[0]
        if current not in (None, (record["run"])):
            yield from _finished(held)
            held = {}
        current = record["run"]
        key = tuple(record[name] for name in ("run", "seed", "path", "period", "layer"))
        columns = ("accumulated", "final", "flips", "dead")
        held.setdefault(key, []).append([part.array(name)[0] for name in columns])
    yield from _finished(held)


def _finished(held: dict[tuple, list]) -> Iterator[tuple[dict, dict]]:
    for (run, seed, path, period, layer), pieces in held.items():
        accumulated, final, flips, dead = (np.concatenate(each) for each in zip(*pieces, strict=True))
        dead = dead.astype(bool)
        for name, chosen in (("all", np.full(len(dead), True)), ("alive", ~dead)):
            if not chosen.any():
                continue
            who = {"run": run, "seed": seed, "path": path, "period": period, "layer": layer, "parameters": name}
            way, distance = accumulated[chosen].astype(float), final[chosen].astype(float)
            yield (
                who,
                {
                    "accumulated": way,
                    "final": distance,
                    "detour": detours(way, distance),
                    "flips": flips[chosen],
                    "dead": dead.mean(),
                },
            )
