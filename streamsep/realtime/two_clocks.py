"""From a device with one clock to a device with another: sound waits in a ring, and is read a little faster or slower
than the output's clock says, so that the ring stays as full as it was.

Two clocks of the same nominal rate differ by up to some hundred parts in a million: by several blocks in a minute.
What waits is counted in whole blocks, a saw tooth as high as a block, whose beat may last a minute. So both sides
give the time of their calls, and the input's count is carried on from its last call to the moment of the output's.
"""

from dataclasses import dataclass

import numpy as np

from streamsep.arrays import Block, Samples
from streamsep.realtime.contract import audio_thread
from streamsep.realtime.fractional import LONGEST, TAPS, Fractional
from streamsep.realtime.ring import Ring

MOST = 1500e-6  # by which the speed is changed: a clock that is 1000e-6 off is followed with some in reserve
STEEPEST = 300e-6  # change of speed in a second: half a cent of pitch
SMOOTHING_S = 0.3  # of the fill, before anything follows it
FOLLOWING = 0.3  # natural frequency of the loop in rad/s, critically damped: it settles within 20 s
MARGIN_S = 0.003  # that waits beyond what the blocks need: calls that come late, and a clock that is not followed yet
EXCESS_S = 0.01  # that waits beyond the target before it is skipped rather than worked off
FADE_S = 0.005
CAPACITY_S = 0.5  # of the ring, beyond the target
AT_ONCE = 0.5  # of its length: a call that comes sooner after the one before is of the same block of the device's


@audio_thread
def at_once(passed_s: float, count: int, rate: int) -> bool:
    """Whether a call with `count` samples, so long after the one before, was cut out of the same block: the device's
    own are longer, or it makes up for a late one."""
    return passed_s * rate < AT_ONCE * count


class Stairs:
    """How a device hands sound over: its count of samples is a staircase around a straight line of time. One
    thread's."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._count = self._together = 0
        self._began_s = self._newest_s = self._highest = self._lowest = 0.0
        self.block = 0  # samples that come at once, at most

    @audio_thread
    def step(self, count: int, now_s: float) -> None:
        """A call with `count` samples."""
        if not self._count:
            self._began_s = now_s
        line = (now_s - self._began_s) * self._rate
        self._lowest = min(self._lowest, self._count - line)
        self._together = count + (self._together if at_once(now_s - self._newest_s, count, self._rate) else 0)
        self.block = max(self.block, self._together)
        self._newest_s = now_s
        self._count += count
        self._highest = max(self._highest, self._count - line)

    @property
    def width(self) -> float:
        """Samples between its highest and its lowest corner: a block where calls are regular; more where they come
        in bursts, or late."""
        return self._highest - self._lowest


class Pace:
    """The speed at which the ring is read: a slow loop with a proportional and an integral part. rate: Hz.

    Its integral part is the difference of the clocks, and outlives a gap in the sound."""

    def __init__(self, rate: int) -> None:
        self.speed = 0.0  # above 1, as a fraction
        self.error = 0.0  # smoothed, in samples: what waits above the target
        self._rate = rate
        self._drift = 0.0

    @audio_thread
    def follow(self, error: float, count: int) -> float:
        """error: samples that wait above the target, now. count: samples since the last call -> inputs an output."""
        passed_s = count / self._rate
        self.error += (error - self.error) * min(1.0, passed_s / SMOOTHING_S)
        wanted = self._drift + 2 * FOLLOWING / self._rate * self.error
        if abs(wanted) < MOST:  # otherwise it is as fast as it may be, and what it learns would be wrong
            self._drift += FOLLOWING**2 / self._rate * self.error * passed_s
        steepest = STEEPEST * passed_s
        change = min(max(wanted, -MOST), MOST) - self.speed
        self.speed += min(max(change, -steepest), steepest)
        return 1.0 + self.speed

    @audio_thread
    def forget_error(self) -> None:
        """What waits is on its target."""
        self.error = 0.0


@dataclass(slots=True)
class Gaps:
    """Breaks in the sound between two clocks."""

    stalls: int = 0  # the input gave nothing: a fall to silence, until there is as much as before
    floods: int = 0  # far more was waiting than should, for the output had stalled: skipped, behind a fade


class TwoClocks:
    """(samples, channels) from one thread to another, `delay` later. One thread writes, one reads, both with the time
    of the same clock.

    The delay is from the line through the writer's stairs to the first sample of the reader's call (of the first one,
    where several come at once): both widths, so that any step of one may meet any step of the other, the filter, and
    a margin. It is held to within the jitter of the calls and what the loop has yet to learn, and is the same after a
    gap. What comes out depends on when it is asked for; that is its purpose.
    """

    def __init__(self, rate: int, channels: int, written: float, read: float) -> None:
        """rate: Hz, of both. written, read: the widths of both stairs, see `Stairs`."""
        self.delay = written + read + TAPS / 2 + MARGIN_S * rate
        self.gaps = Gaps()
        self.pace = Pace(rate)
        self._rate = rate
        self._step = written + MARGIN_S * rate  # samples after which the writer's next call is missing
        self._excess = EXCESS_S * rate
        self._ring = Ring(channels, round(self.delay + CAPACITY_S * rate))
        self._filter = Fractional(channels)
        self._wrote = (0, 0.0)  # samples, and when: replaced as one. The writer's
        self._holes = 0  # calls that found no room. The writer's
        self._holes_met = 0  # the reader's, like all that follows
        self._taken = 0
        self._called_s = -1.0  # when it was read last
        self._passed = 0  # samples that were read since the pace was asked for
        self._playing = False
        self._sound = np.zeros((channels, LONGEST))
        fade = round(FADE_S * rate)
        self._rise = 0.5 - 0.5 * np.cos(np.pi * np.arange(fade) / fade)
        self._sink = self._rise[::-1].copy()
        self._risen = 0  # samples of the rise that have been heard
        self._fall = np.zeros((channels, fade))  # from the sample that was heard last to silence
        self._fallen = fade  # samples of it that have been heard
        self._newest = np.zeros(channels)  # sample that was heard

    # ---------------------------------------------------------------------------------------------------- the writer

    @audio_thread
    def write(self, block: Block, now_s: float) -> None:
        """(samples, channels), of any length. What finds no room is left out: nobody has read for long."""
        if self._ring.write(block.T):
            self._wrote = (self._wrote[0] + len(block), now_s)
        else:
            self._holes += 1

    # ---------------------------------------------------------------------------------------------------- the reader

    @audio_thread
    def read(self, out: Block, now_s: float) -> None:
        """Fills (samples, channels), of any length."""
        lanes, count = out.T, len(out)
        first = not at_once(now_s - self._called_s, count, self._rate)  # of its block: what is read now is heard next
        self._called_s = now_s
        if self._playing and first:
            self.pace.follow(self.waiting(now_s) - self.delay, self._passed)
            self._passed = 0
            if self.pace.error > self._excess:
                self._flood()
        if self._holes != self._holes_met:  # what waits is not in one piece
            self._holes_met = self._holes
            self._taken += self._ring.skip(self._ring.filled)
            if self._playing:
                self._flood()
        if not self._playing and first:
            self._begin(now_s)
            self._passed = 0
        self._passed += count
        for at in range(0, count, LONGEST):
            piece = lanes[:, at : at + LONGEST]
            piece[:] = self._next(piece.shape[1])

    @audio_thread
    def waiting(self, now_s: float) -> float:
        """Samples from the writer's line to the next output: what should equal `delay`, while it plays."""
        return self._line(now_s) - (self._taken - TAPS / 2 - 1 + self._filter.offset)

    @audio_thread
    def _line(self, now_s: float) -> float:
        """What the writer's count would be by now if it wrote single samples."""
        written, at_s = self._wrote
        return written + min(max((now_s - at_s) * self._rate, 0.0), self._step)

    @audio_thread
    def _begin(self, now_s: float) -> None:
        """Play, if as much waits as should; leave out what is more."""
        written, at_s = self._wrote
        first = self._line(now_s) - self.delay - TAPS / 2 + 1  # where the window of the next output begins
        whole = int(max(first, 0.0))
        stalled = (now_s - at_s) * self._rate >= self._step
        if stalled or first < self._taken or whole + TAPS > written:
            return
        self._taken += self._ring.skip(whole - self._taken)
        if self._ring.read(self._filter.begin(first - whole)):
            self._taken += TAPS
            self._playing = True
            self._risen = 0
            self.pace.forget_error()

    @audio_thread
    def _next(self, count: int) -> Samples:
        """(channels, count), up to 64: what is heard next."""
        sound = self._sound[:, :count]
        if self._playing:
            ratio = 1.0 + self.pace.speed
            room = self._filter.room(count, ratio)
            if self._ring.read(room):
                self._taken += room.shape[1]
                sound[:] = self._filter.process(count, ratio)
                self._fade_in(sound)
            else:
                self.gaps.stalls += 1
                self._break_off()
        if not self._playing:
            sound.fill(0)
        self._fade_out(sound)
        return sound

    @audio_thread
    def _flood(self) -> None:
        self.gaps.floods += 1
        self._break_off()

    @audio_thread
    def _break_off(self) -> None:
        """From here on, a fall from what was heard last, and what comes afterwards rises from silence."""
        self._playing = False
        self._fallen = 0
        for channel, sample in enumerate(self._newest):
            np.multiply(self._sink, sample, out=self._fall[channel])

    @audio_thread
    def _fade_in(self, sound: Samples) -> None:
        rising = min(sound.shape[1], len(self._rise) - self._risen)
        if rising:
            np.multiply(sound[:, :rising], self._rise[self._risen : self._risen + rising], out=sound[:, :rising])
            self._risen += rising

    @audio_thread
    def _fade_out(self, sound: Samples) -> None:
        falling = min(sound.shape[1], self._fall.shape[1] - self._fallen)
        if falling:
            np.add(sound[:, :falling], self._fall[:, self._fallen : self._fallen + falling], out=sound[:, :falling])
            self._fallen += falling
        self._newest[:] = sound[:, -1]
