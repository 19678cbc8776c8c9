"""What the keys do, and how they are read: one at a time, without Enter, the terminal as before at the end."""

import os
import re
import select
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from streamsep.realtime.engine import AUTO
from streamsep.realtime.masking import gain_db_of

try:
    import termios
    import tty
except ImportError:  # Windows has no such terminals: there are no keys
    termios = tty = None  # type: ignore[assignment]

STEP_DB = 1.0
LOWEST_DB = -120.0
AUDIBLE_DB = -60.0  # a source that is quieter than this is as good as muted: the first step up goes here
# Terminals send them in one of two ways.
ARROWS = {
    escape + letter: name
    for escape in ("\x1b[", "\x1bO")
    for letter, name in {"A": "up", "B": "down", "C": "right", "D": "left"}.items()
}
# A key is one character, or a sequence: ECMA-48's (with a second bracket: the Linux console's), a function key's of
# old, or Alt with a character. An unfinished one is swallowed as far as it goes.
KEY = re.compile(r"\x1b+(?:\[\[?[0-?]*[ -/]*[@-~]?|O[0-9]*[@-~]?|[^\x1b])?|.", re.DOTALL)
UNFINISHED = re.compile(r"\x1b(\[\[?[0-?]*[ -/]*|O[0-9]*)?$")
REST_S = 0.02  # in which the rest of a sequence comes
HELP = "q quit · 1-9 domain · a auto · l lock · b bypass · ←→ source · ↑↓ gain · m mute"

Request = Mapping[str, Any]  # see `sound`


class Desk:
    """What the listener has set, and what a key makes of it. Pure: no terminal in it."""

    def __init__(
        self,
        domains: Sequence[str],
        sources: Mapping[str, Sequence[str]],
        gains_db: Mapping[str, float],
        most_db: float,
    ) -> None:
        """sources: the names of every domain's slots. gains_db: by role or name, as they are set at the start.
        most_db: to which they can be turned up."""
        self.domains, self.sources = tuple(domains), dict(sources)
        self.gains_db = {name: gain_db_of(name, gains_db) for names in sources.values() for name in names}
        self._most_db = most_db
        self.muted: dict[str, float] = {}  # by source: the gain to go back to
        self.chosen = 0  # the source whose gain the arrows change: its place

    def source(self, domain: str) -> str:
        """The chosen one."""
        names = self.sources[domain]
        return names[self.chosen % len(names)]

    def press(self, key: str, domain: str, bypassed: bool, locked: str | None) -> Request | None:
        """What to ask for when a key is pressed; None: nothing. domain: that is heard. locked: what is
        insisted on."""
        name = self.source(domain)
        if key in "123456789" and int(key) <= len(self.domains):
            return {"select": self.domains[int(key) - 1]}
        if key == "a" or (key == "l" and locked is not None):
            return {"select": AUTO}
        if key == "l":
            return {"select": domain}
        if key == "b":
            return {"bypass": not bypassed}
        if key in ("left", "right"):
            self.chosen = (self.chosen + (1 if key == "right" else -1)) % len(self.sources[domain])
        elif key == "m":
            return self._set(name, self.muted.pop(name)) if name in self.muted else self._mute(name)
        elif key in ("up", "down"):
            self.muted.pop(name, None)
            step = STEP_DB if key == "up" else -STEP_DB
            return self._set(name, max(self.gains_db[name], AUDIBLE_DB - STEP_DB) + step)
        return None

    def _mute(self, name: str) -> Request:
        self.muted[name] = self.gains_db[name]
        return self._set(name, LOWEST_DB)

    def _set(self, name: str, gain_db: float) -> Request:
        self.gains_db[name] = min(max(gain_db, LOWEST_DB), self._most_db)
        return {"gain": [name, self.gains_db[name]]}


def split(typed: str) -> Iterator[str]:
    r"""Characters as they come from a terminal -> keys, the arrows by name; other sequences are no keys of ours.

    >>> list(split("1\x1b[Ab\x1b[3~2"))
    ['1', 'up', 'b', '2']
    """
    for key in KEY.findall(typed):
        if not key.startswith("\x1b"):
            yield key
        elif key in ARROWS:
            yield ARROWS[key]


def ours() -> bool:
    """Whether standard input is a terminal that we may read: not in the background."""
    try:
        return termios is not None and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:  # it is no terminal, or not that of our session
        return False


@contextmanager
def keyboard() -> Iterator["Keyboard | None"]:
    """The keys of the terminal, as long as it lasts; None where there are none."""
    if not ours():
        yield None
        return
    file = sys.stdin.fileno()
    before = termios.tcgetattr(file)
    tty.setcbreak(file)
    try:
        yield Keyboard(file)
    finally:
        termios.tcsetattr(file, termios.TCSADRAIN, before)


class Keyboard:
    """A terminal whose keys are read as they are pressed."""

    def __init__(self, file: int) -> None:
        self._file = file

    def pressed(self) -> list[str]:
        """The keys that were pressed since."""
        typed = ""
        while select.select([self._file], [], [], REST_S if UNFINISHED.search(typed) else 0)[0]:
            read = os.read(self._file, 64).decode(errors="ignore")
            if not read:
                break
            typed += read
        return list(split(typed))
