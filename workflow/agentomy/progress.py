"""Whole lines that say what a job is doing, how far it is and how long it will take.

The same line goes to the terminal and to the job's log. Lines are never rewritten in place, so that several jobs
can share one terminal and a plain file reads well.
"""

import sys
import time
from contextlib import suppress
from pathlib import Path


class Progress:
    """Progress of one job, printed at most every `every` seconds."""

    def __init__(self, title: str, log: Path | str | None = None, every: float = 5.0, clock=time.monotonic):
        self.title, self.every, self.clock = title, every, clock
        self.began = self.printed = clock()
        self.done_at_start: float | None = None
        self.part, self.parts = 0, 1
        self.log = None
        if log:
            with suppress(OSError):  # as in `note`
                Path(log).parent.mkdir(parents=True, exist_ok=True)
                self.log = Path(log).open("w", encoding="utf-8")  # open as long as the job lives

    def say(self, text: str) -> None:
        """Print one line now."""
        line = f"{self.title} · {text}"
        print(line, file=sys.stderr, flush=True)
        self.note(line)

    def note(self, text: str) -> None:
        """Write to the log alone; a full disk must not stop the job here, it will say so where it matters."""
        if self.log is not None:
            try:
                print(text, file=self.log, flush=True)
            except OSError:
                self.log = None

    def begin(self, part: int, parts: int, what: str) -> None:
        """Begin one of several equal parts of the job, within which `step` counts from now on."""
        self.part, self.parts = part, parts
        self._show(part / parts, what)

    def step(self, done: float, total: float, unit: str, detail: str = "") -> None:
        """Say how far the job is, if it is time to."""
        self._show((self.part + done / total) / self.parts, f"{done:.0f}/{total:.0f} {unit}", detail)

    def _show(self, share: float, what: str, detail: str = "") -> None:
        """Print a line for a share of the whole job, with the time that is left at the pace so far."""
        now = self.clock()
        if self.done_at_start is None:  # a resumed run counts from where it went on
            self.done_at_start, self.began = share, now
        if now - self.printed < self.every or share >= 1:
            return
        self.printed = now
        gained = share - self.done_at_start
        left = f"{duration((1 - share) * (now - self.began) / gained)} left" if gained > 0 else ""
        self.say(" · ".join(filter(None, [what, f"{100 * share:.0f} %", left, detail])))


def duration(seconds: float) -> str:
    """A time span as a person would say it: 8 s, 3 min 20 s, 2 h 5 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
