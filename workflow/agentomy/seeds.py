"""Every random stream, derived from (study, run, seed, purpose); nothing is ever seeded globally."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Streams:
    """The random streams of one seed of one run; one named stream per purpose."""

    study: str
    run: str
    seed: int

    def for_seed(self, seed: int) -> "Streams":
        """Those of another seed of the run: what is not the same for all seeds is drawn from the seed's own."""
        return replace(self, seed=int(seed))

    def entropy(self, purpose: str) -> int:
        """128 bits that depend on all four names."""
        name = "\0".join([self.study, self.run, str(self.seed), purpose])
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "big")

    def numpy(self, purpose: str) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(self.entropy(purpose)))
