"""Answers that stay valid as long as some files don't change. They are kept in `.snakemake` and may be deleted."""

import json
import os
from pathlib import Path
from typing import Any

FOLDER = Path(".snakemake")  # Snakemake's own folder; where there is none, nothing is kept


class Remembered:
    """Answers by question in FOLDER/NAME, valid as long as `state` is the same; a broken file has no answers."""

    def __init__(self, name: str, state: str = ""):
        # absolute: when a process ends, it may be in another folder
        self.path, self.state, self.new = FOLDER.absolute() / name, state, False
        self.answers = self._read()

    def _read(self) -> dict[str, Any]:
        try:
            entries = json.loads(self.path.read_text(encoding="utf-8"))
            return dict(entries["answers"].items()) if entries["state"] == self.state else {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}

    def keep(self) -> None:
        """Write new answers, together with those that others wrote meanwhile; a reader never sees half a file."""
        if not self.new or not self.path.parent.is_dir():
            return
        part = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        try:
            text = json.dumps({"state": self.state, "answers": self._read() | self.answers})
            part.write_text(text, encoding="utf-8")
            os.replace(part, self.path)
            self.new = False
        except OSError:  # they are worked out again
            part.unlink(missing_ok=True)
