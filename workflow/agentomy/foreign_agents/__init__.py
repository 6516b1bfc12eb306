"""Other people's agents, opened without running anything of theirs, and their networks, recognised.

`opening.opened` reads a file of any sort that is known, `opening.recognised` finds its network, which
`networks.foreign` builds, `series.checkpoints` expands a pattern of checkpoints. Files are data here: pickles are read
opcode by opcode, and nothing that they name is imported. A broken file is refused in one line (`mistakes.ConfigError`).
"""
