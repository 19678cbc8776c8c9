"""The knobs: turned from any thread at any time, heard from the next hop on, and the journal knows from which."""

from collections.abc import Sequence
from numbers import Real

from streamsep.errors import ConfigError
from streamsep.realtime.contract import audio_thread
from streamsep.realtime.journal import BYPASS, GAIN, Journal
from streamsep.realtime.masking import Rendering, linear


class Controls:
    """Gains and the bypass, as they were asked for and as they are heard.

    Storing a number in a list, or a reference, is one step for the interpreter: neither side needs a lock."""

    def __init__(self, renderings: Sequence[Rendering], journal: Journal) -> None:
        """renderings: of every domain; their `targets` are set here."""
        self.bypass = False  # as asked for
        self.bypassed = False  # as heard
        self._renderings, self._journal = renderings, journal
        self._asked_db = [[0.0] * len(rendering.names) for rendering in renderings]
        self._heard_db = [[0.0] * len(rendering.names) for rendering in renderings]
        self._turned = self._taken = object()  # a new one whenever a gain was asked for

    def set_gain(self, name: str, gain_db: float) -> None:
        """Of every slot with this role or name. Raises ConfigError for one nobody has, and a gain out of range."""
        if isinstance(gain_db, bool) or not isinstance(gain_db, Real):
            raise ConfigError(f"gains_db.{name}: must be a number of dB, got {gain_db!r}")
        if not -120.0 <= gain_db <= 24.0:  # NaN fails too
            raise ConfigError(f"gains_db.{name}: must be between -120 and +24 dB, got {gain_db}")
        found = [
            (domain, slot)
            for domain, rendering in enumerate(self._renderings)
            for slot, names in enumerate(zip(rendering.separator.sources, rendering.names, strict=True))
            if name in names
        ]
        if not found:
            names = {name for rendering in self._renderings for name in rendering.names}
            raise ConfigError(f"gains_db: no source is called {name!r}; there are {sorted(names)}")
        for domain, slot in found:
            self.set_slot(domain, slot, gain_db)

    def set_slot(self, domain: int, slot: int, gain_db: float) -> None:
        """Of one slot of one domain, by their indices."""
        self._asked_db[domain][slot] = gain_db
        self._turned = object()

    @audio_thread
    def take(self) -> None:
        """A hop begins: what was asked for is heard from here on."""
        bypass = self.bypass
        if bypass != self.bypassed:
            self.bypassed = bypass
            self._journal.note(BYPASS, bypass)
        turned = self._turned
        if turned is self._taken:
            return
        self._taken = turned
        for domain, rendering in enumerate(self._renderings):
            heard_db = self._heard_db[domain]
            for slot, gain_db in enumerate(self._asked_db[domain]):
                if gain_db != heard_db[slot]:
                    heard_db[slot] = gain_db
                    rendering.targets[slot] = linear(gain_db)
                    self._journal.note(GAIN, domain, slot, gain_db)
