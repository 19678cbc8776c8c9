"""From the device's rate to the model's and back, one hop at a time: linear-phase polyphase filters of exact delay.

Time is counted in *ticks* of 1 / (rate * up) s: a device sample is `up` ticks long and a model sample `down` ticks,
so every sample of either side, and every delay, lies on a whole tick. A filter is a Kaiser-windowed low pass in
ticks, 40/3 samples of the slower side on each side of its middle: its delay is 0.83 ms between 48 and 16 kHz. In
units of the slower side's Nyquist frequency it is flat to 0.8 (within 0.005 dB), 0.5 dB down at 0.875, 6 dB at 0.97,
and at least 65 dB from 1.125 upward, so that what folds back or mirrors lands above 0.875.
"""

from operator import index as as_integer

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from streamsep.arrays import Curve, Samples
from streamsep.errors import ConfigError
from streamsep.realtime.contract import audio_thread

LOWEST_HZ = 8000
HIGHEST_HZ = 192000
MOST_PHASES = 2000  # 44.1 kHz needs 441; a table of many thousand is a mistyped rate
CUTOFF = 0.97  # where a filter is at -6 dB, in units of the slower side's Nyquist frequency
BETA = 6.5  # shape of the Kaiser window
HALF_LENGTH = (40, 3)  # a ratio: half the length of a filter, in samples of the slower side


class HopSchedule:
    """Which device samples make up hop t, and what the resamplers need to know. Pure arithmetic.

    Hop t is the device samples ceil(t * r) ... ceil((t + 1) * r) - 1, with r = hop * rate / model_rate, and the model
    samples t * hop ... (t + 1) * hop - 1. `rate`, `model_rate`: Hz, whole, 8000 to 192000. `hop`: model samples, at
    most 1 s. Raises ConfigError for anything else, and for rates whose reduced ratio has a term above 2000.

    >>> schedule = HopSchedule(44100, 16000, 64)
    >>> schedule.up, schedule.down, schedule.longest, [schedule.length(t) for t in range(5)]
    (160, 441, 177, [177, 176, 177, 176, 176])
    """

    def __init__(self, rate: int, model_rate: int, hop: int) -> None:
        self.rate = whole_number("rate", rate, LOWEST_HZ, HIGHEST_HZ)
        self.model_rate = whole_number("model_rate", model_rate, LOWEST_HZ, HIGHEST_HZ)
        self.hop = whole_number("hop", hop, 1, self.model_rate)
        common = int(np.gcd(self.rate, self.model_rate))
        self.up = self.model_rate // common  # ticks of a device sample
        self.down = self.rate // common  # ticks of a model sample
        if max(self.up, self.down) > MOST_PHASES:
            raise ConfigError(
                f"rate: {rate} Hz is no practical multiple of the model's {model_rate} Hz: {self.down}/{self.up}, "
                f"terms at most {MOST_PHASES}; resample to a common rate such as 44100 or 48000"
            )
        self.longest = -(-self.hop * self.down // self.up)  # the most device samples a hop has
        self.regular = self.hop % self.up == 0  # every hop begins on a device sample: all hops are alike
        half, slower = HALF_LENGTH[0] * max(self.up, self.down), HALF_LENGTH[1]
        self.filter_ticks = -(-half // slower)  # delay of either resampler, before extra_ticks

    @audio_thread
    def length(self, index: int) -> int:
        """Device samples of hop `index` (from 0): never more than `longest`, at most one less."""
        ticks = self.hop * self.down
        return -(-(index + 1) * ticks // self.up) + (-index * ticks // self.up)

    @audio_thread
    def lead(self, index: int) -> int:
        """Ticks from the beginning of hop `index` to its first device sample, in [0, up)."""
        return -index * self.hop * self.down % self.up


class Downsampler:
    """Device samples to model samples, `lanes` at once; once per hop, in order.

    `delay_ticks`: model sample k is the sound at tick k * down - delay_ticks. Raises ConfigError when the rates are
    equal.
    """

    def __init__(self, lanes: int, schedule: HopSchedule) -> None:
        self.delay_ticks = schedule.filter_ticks
        self._schedule = schedule
        taps = branches(low_pass(schedule, self.delay_ticks), schedule.up)
        self._line = _Line(lanes, taps.shape[1], schedule.longest)
        reader = _Grouped if schedule.regular else _Gathered
        self._reader = reader(self._line.samples, taps, schedule.down, schedule.hop)
        self._index = 0

    @audio_thread
    def process(self, samples: Samples) -> Samples:
        """(lanes, length of this hop) -> (lanes, hop). The returned array is overwritten by the next call."""
        index = self._index
        self._index = index + 1
        self._line.push(samples, self._schedule.length(index))
        return self._reader.read(-self._schedule.lead(index))

    def reset(self) -> None:
        """Forget the past: the next hop is hop 0, after silence."""
        self._line.reset()
        self._index = 0


class Upsampler:
    """Model samples to device samples, `lanes` at once; once per hop, in order.

    `extra_ticks`: added to the delay by a longer filter of the same shape, so that a delay through both
    resamplers and what lies between becomes whole in device samples. `delay_ticks`, the extra ones included: device
    sample n is the sound at tick n * up - delay_ticks. Raises ConfigError when the rates are equal or extra_ticks is
    not from 0 to 2000.
    """

    def __init__(self, lanes: int, schedule: HopSchedule, extra_ticks: int) -> None:
        self.delay_ticks = schedule.filter_ticks + whole_number("extra_ticks", extra_ticks, 0, MOST_PHASES)
        self._schedule = schedule
        taps = branches(low_pass(schedule, self.delay_ticks), schedule.down)
        self._line = _Line(lanes, taps.shape[1], schedule.hop)
        reader = _Grouped if schedule.regular else _Gathered
        self._reader = reader(self._line.samples, taps, schedule.up, schedule.longest)
        self._index = 0

    @audio_thread
    def process(self, samples: Samples) -> Samples:
        """(lanes, hop) -> (lanes, length of this hop). The returned array is overwritten by the next call."""
        index = self._index
        self._index = index + 1
        self._line.push(samples, self._schedule.hop)
        # A shorter hop has one output too many at its end, made of a clipped window: it is cut off here.
        return self._reader.read(self._schedule.lead(index))[:, : self._schedule.length(index)]

    @audio_thread
    def skip(self) -> None:
        """Let a hop pass that nobody listens to: time goes on, and what was before it counts as silence."""
        self._line.reset()
        self._index += 1

    def reset(self) -> None:
        """Forget the past: the next hop is hop 0, after silence."""
        self._line.reset()
        self._index = 0


def low_pass(schedule: HopSchedule, half: int) -> Curve:
    """(2 * half + 1,): a symmetric low pass in ticks, peak 1 in the middle; passes what the slower side can carry.

    Raises ConfigError when the rates are equal, for then there is nothing to resample.
    """
    if schedule.up == schedule.down:
        raise ConfigError(f"nothing to resample: the device and the model both run at {schedule.rate} Hz")
    time = np.arange(-half, half + 1) / max(schedule.up, schedule.down)
    prototype: Curve = np.sinc(CUTOFF * time) * np.kaiser(2 * half + 1, BETA)
    return prototype


def branches(prototype: Curve, phases: int) -> Curve:
    """(ticks,) -> (phases, taps): the taps for inputs `phases` ticks apart, oldest input first.

    Row p is for an output p ticks after its newest input. Every row adds up to 1, so that a constant stays constant.
    """
    taps = -(-len(prototype) // phases)
    padded = np.pad(prototype, (0, taps * phases - len(prototype)))
    rows = np.ascontiguousarray(padded.reshape(taps, phases).T[:, ::-1])
    rows /= rows.sum(axis=1, keepdims=True)
    return rows


class _Line:
    """The newest input and the `taps` samples before it, in one contiguous piece per lane."""

    def __init__(self, lanes: int, taps: int, longest: int) -> None:
        self.samples = np.zeros((lanes, taps + longest))
        self._taps = taps
        self._past = np.zeros((lanes, taps))

    @audio_thread
    def push(self, samples: Samples, length: int) -> None:
        """(lanes, length): they follow what was there; the first of them is at column `taps`."""
        line, taps = self.samples, self._taps
        line[:, :taps] = self._past
        line[:, taps : taps + length] = samples
        self._past[:] = line[:, length : length + taps]

    @audio_thread
    def reset(self) -> None:
        """Silence before the next input."""
        self._past[:] = 0


class _Grouped:
    """Reads a line whose hops are all alike: outputs in groups of one per phase, each group from one strided window.

    Outputs are `step` ticks apart and inputs `phases` ticks, so a group spans `step` inputs; a window is as wide as
    the whole group needs, and a phase has zeros where it does not look.
    """

    def __init__(self, line: Samples, taps: Curve, step: int, outputs: int) -> None:
        phases, length = taps.shape
        groups = outputs // phases
        width = length + (phases - 1) * step // phases
        self._taps = np.zeros((phases, width))
        for output in range(phases):
            newest, phase = divmod(output * step, phases)
            self._taps[output, newest : newest + length] = taps[phase]
        windows = sliding_window_view(line[:, 1:], width, axis=1)
        self._windows = windows[:, ::step][:, :groups, np.newaxis]
        self._out = np.zeros((len(line), outputs))
        self._grouped = self._out.reshape(len(line), groups, phases)

    @audio_thread
    def read(self, _first: int) -> Samples:
        """-> (lanes, outputs). The first output is always at the tick of the first input."""
        np.vecdot(self._windows, self._taps, out=self._grouped)
        return self._out


class _Gathered:
    """Reads a line whose hops differ: each output finds its newest input and phase, and gathers its own window."""

    def __init__(self, line: Samples, taps: Curve, step: int, outputs: int) -> None:
        self._line = line
        self._taps = taps
        length = taps.shape[1]
        self._steps = np.arange(outputs, dtype=np.intp) * step
        # Columns of the line in a window whose newest input is the first one of the hop, which is at column `length`.
        self._reach = np.tile(np.arange(1, length + 1, dtype=np.intp), (outputs, 1))
        self._ticks = np.zeros(outputs, np.intp)
        self._newest = np.zeros(outputs, np.intp)
        self._phase = np.zeros(outputs, np.intp)
        self._columns = np.zeros((outputs, length), np.intp)
        self._rows = np.zeros((outputs, length))
        self._windows = np.zeros((len(line), outputs, length))
        self._out = np.zeros((len(line), outputs))

    @audio_thread
    def read(self, first: int) -> Samples:
        """-> (lanes, outputs). `first`: tick of the first output, counted from the first input; may be negative."""
        np.add(self._steps, first, out=self._ticks)
        np.floor_divide(self._ticks, len(self._taps), out=self._newest)
        np.remainder(self._ticks, len(self._taps), out=self._phase)
        self._columns[:] = self._newest[:, np.newaxis]  # copied first: adding rows to a column would buffer
        np.add(self._columns, self._reach, out=self._columns)
        np.take(self._taps, self._phase, axis=0, out=self._rows, mode="clip")
        np.take(self._line, self._columns, axis=1, out=self._windows, mode="clip")
        return np.vecdot(self._windows, self._rows, out=self._out)


def whole_number(name: str, value: int, lowest: int, highest: int) -> int:
    """`value` as an int; raises ConfigError unless it is a whole number from lowest to highest."""
    try:
        whole = as_integer(value)
        if isinstance(value, bool):
            raise TypeError
    except TypeError:
        raise ConfigError(f"{name} must be a whole number from {lowest} to {highest}, got {value!r}") from None
    if not lowest <= whole <= highest:
        raise ConfigError(f"{name} must be from {lowest} to {highest}, got {whole}")
    return whole
