"""When a claim is judged: at numbers of seeds that are fixed beforehand, each of which spends a part of 5 %.

Whoever adds seeds until a claim is decided is fooled by chance unless every look was paid for. The first look is at as
many seeds as were planned; later ones are there if it leaves a claim undecided.
"""

from dataclasses import dataclass

FIRST = 0.025  # what the first look spends, on each side: the interval of a study without later looks is the usual one
LATER = ((6, 0.016), (12, 0.0045), (24, 0.0045))  # seeds and what the look spends; with the first look 5 %


@dataclass(frozen=True)
class Look:
    """The first `seeds` seeds, judged at a one-sided level."""

    seeds: int
    level: float


def planned(first: int, stack: int = 1) -> tuple[Look, ...]:
    """The looks of a study that has `first` seeds, trained in stacks of `stack`.

    Later ones are rounded up to whole stacks; those that become one spend together. What isn't larger than the first
    look is skipped, and not spent.
    """
    levels = {first: FIRST}
    for seeds, level in LATER:
        whole = -(-seeds // stack) * stack
        if whole > first:
            levels[whole] = levels.get(whole, 0) + level
    return tuple(Look(seeds, level) for seeds, level in levels.items())
