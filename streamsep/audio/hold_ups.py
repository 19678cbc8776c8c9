"""Whether JACK played on without us: that tells gaps of our making from its own."""

import math
from collections.abc import Callable

from streamsep.realtime.contract import audio_thread


class HoldUps:
    """Of a callback; the audio side's.

    JACK counts the samples that it has asked for. When they are more than we were called for, it called and nobody
    came: this process was kept from running. When its server was late itself, it asked for no more than it got.
    Its clock does not tell: it goes on while the server stands still, or jumps, by hundreds of milliseconds."""

    def __init__(self) -> None:
        self.asked: Callable[[], int] | None = None  # what JACK counts; None: no device that can be asked
        self.wanted = math.inf  # samples that it asked for from the time before to this one, all that it counts
        self._moment_s = -math.inf
        self._counted = 0
        self._given = 0  # since then
        self._missed = self._missed_before = 0.0  # less than 0: it has asked for a period already that we then get

    @audio_thread
    def begin(self, moment_s: float, frames: int) -> bool:
        """A callback begins. moment_s: when the device asked for it, by a clock of its own.

        Whether it has asked anew; otherwise this is a piece more of what PortAudio cuts into blocks of its own."""
        anew = moment_s != self._moment_s
        if anew and self.asked is not None:
            counted = self.asked()
            self._missed_before = self._missed
            if self._counted:
                self.wanted = counted - self._counted
                self._missed = self.wanted - self._given
            self._counted, self._given = counted, 0
        self._moment_s = moment_s
        self._given += frames
        return anew

    @audio_thread
    def missed(self, frames: int) -> bool:
        """Whether this callback or the one before it came after sound that nobody was there for: JACK tells of a gap
        with either. frames: of a block, by less than which the count is never exact where PortAudio cuts."""
        return self._missed + self._missed_before >= frames
