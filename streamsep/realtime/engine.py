"""The path of the sound, top to bottom. It knows no threads, no devices and no files: blocks in, blocks out."""

from collections.abc import Mapping
from typing import Literal, Self, overload

import numpy as np

from streamsep.arrays import Array, Block, Samples
from streamsep.errors import ConfigError, StreamsepError
from streamsep.plausible import MOST_CHANNELS
from streamsep.realtime.cleaning import Cleaner
from streamsep.realtime.contract import Separator, audio_thread
from streamsep.realtime.controls import Controls
from streamsep.realtime.counters import Counters
from streamsep.realtime.crossfade import Fade, blend, fade_hops
from streamsep.realtime.hand_over import DRY, HandOver, Monitor
from streamsep.realtime.journal import BYPASS, GAIN, HAND_OVER, RELIEF, RESET, Entry, Journal
from streamsep.realtime.ledger import Ledger
from streamsep.realtime.limiter import Limiter
from streamsep.realtime.mailbox import Order
from streamsep.realtime.masking import Rendering, linear
from streamsep.realtime.min_phase_path import MinPhasePath
from streamsep.realtime.options import EngineOptions
from streamsep.realtime.overload import FADES_SHORT, HIGHEST
from streamsep.realtime.resample import Downsampler, HopSchedule, whole_number
from streamsep.realtime.stft import Analysis, FrontEnd
from streamsep.realtime.window_path import WindowPath

AUTO = "auto"  # in place of a domain: the monitor's choice
USUAL_BLOCK = 8192  # samples; a longer block makes the engine allocate once more

Heard = Block | tuple[Block, Block]  # or with the sources


class Engine:
    """Everything the listener hears passes here: cleaned, separated, weighted, limited, hop by hop.

    Audio side: `process` and `flush`, from one thread. From any thread: `set_gain`, `select`, `bypass`, and reading
    `domain`, `sources`, `counters`. With nobody in `process`: `reset`, `repeat`, `close`.
    """

    def __init__(
        self,
        separators: Mapping[str, Separator],
        front_end: FrontEnd,
        options: EngineOptions,
        domain: str,
        rate: int,
        channels: int = 1,
        monitor: Monitor | None = None,
    ) -> None:
        """separators: by domain, all made for `front_end`. domain: the first to be heard; with a monitor it may be
        "auto": the dry sound, until the monitor knows better. monitor: of these separators, in this order; it goes
        when the engine is closed. Raises ConfigError for a rate, a channel count, a gain or a domain that cannot
        be."""
        channels = whole_number("channels", channels, 1, MOST_CHANNELS)
        if domain not in separators and not (domain == AUTO and monitor):
            raise ConfigError(f"domain: unknown domain {domain!r}; this bank has {sorted(separators)}")
        for name, separator in separators.items():
            if separator.bins != front_end.bins:
                raise ConfigError(f"bins: the front end has {front_end.bins}, separator {name!r} {separator.bins}")
        shortened = options.synthesis_ms if options.path == "window" else None
        front, heard = front_end, front_end.shortened(shortened)  # what the models see; what is heard of it
        self.rate, self.channels, self.front_end = rate, channels, front
        self.domains = tuple(separators)
        self.counters = Counters()
        self.journal = Journal()
        step_s = front.hop / front.sample_rate
        look_ahead = max(separator.look_ahead for separator in separators.values())
        slots = max(len(separator.sources) for separator in separators.values())
        ramp = fade_hops(options.gain_ramp_ms, step_s)
        floor = linear(options.dry_floor_db)
        self._renderings = [
            Rendering(separator, slots, look_ahead - separator.look_ahead, floor, ramp, self.counters)
            for separator in separators.values()
        ]
        fade = fade_hops(options.fade_ms, step_s)
        self._monitor = monitor
        self._hand_over = HandOver(
            self._renderings,
            DRY if domain == AUTO else self.domains.index(domain),
            channels,
            front.hop,
            fade,
            round(options.warm_up_ms / 1000 / step_s),
            look_ahead,
            self.counters,
            self.journal,
            monitor,
        )
        self._controls = Controls(self._renderings, self.journal)

        # in: device samples are gathered until they make a hop
        self._schedule = HopSchedule(rate, front.sample_rate, heard.hop)
        if heard.hop * rate < front.sample_rate:
            raise ConfigError(f"rate: a hop of the model would be shorter than a sample at {rate} Hz")
        longest = self._schedule.longest
        self._gathered = np.zeros((channels, longest))
        self._filled = 0
        self._length = self._schedule.length(0)
        self._clean = True  # whether all that was gathered is finite
        self._cleaner = Cleaner(channels, longest)
        # the models' rate: one step of theirs is one hop, or several
        self._down = None if rate == front.sample_rate else Downsampler(channels, self._schedule)
        self._step = np.zeros((channels, front.hop))
        self._step_filled = 0
        self.steps = 0  # hops of the models, ever
        self._analysis = Analysis(channels, front.window, front.synthesis_window, front.hop)
        self._spectrum = np.zeros((channels, front.bins), np.complex128)
        self._dry_total = np.zeros(front.bins)
        self._ones = np.ones(front.bins)
        # out: the device's rate again
        self._limiter = Limiter(
            channels, rate, longest, options.ceiling_db, options.release_ms, options.look_ahead_ms, options.true_peak
        )
        self._limited_calls = 0  # of the limiter, until the newest hop
        self._path: WindowPath | MinPhasePath
        if options.path == "window":
            self._path = WindowPath(
                front, heard, self._schedule, channels, slots, look_ahead, self._limiter, options.full_band
            )
        else:
            self._path = MinPhasePath(front, rate, longest, channels, slots, options.taps, self._limiter)
        self._slots = slots
        self._grow(USUAL_BLOCK)

        terms = self._path.terms | {"limiter": self._limiter.latency}
        self.latency = Ledger(rate, terms, self._path.filter_ms)
        self._dry_fade = Fade(fade)
        self._separating = False
        self._torn = False  # whether what has begun was not finished
        self._given = 0  # samples, ever
        self._closed = False
        roles = {role for separator in separators.values() for role in separator.sources}
        for name in sorted(options.gains_db, key=lambda name: name not in roles):  # a slot may differ from its role
            self.set_gain(name, options.gains_db[name])
        self.reset()

    # ------------------------------------------------------------------------------------------------ the audio side

    @overload
    def process(self, block: Block, out: Block | None = None, separate: Literal[False] = False) -> Block: ...
    @overload
    def process(self, block: Block, out: Block | None = None, *, separate: Literal[True]) -> tuple[Block, Block]: ...
    @overload
    def process(self, block: Block, out: Block | None = None, separate: bool = False) -> Heard: ...

    @audio_thread
    def process(self, block: Block, out: Block | None = None, separate: bool = False) -> Heard:
        """Sound in, sound out, `latency.samples` later: (samples,) or (samples, channels) -> the same shape, float32.

        Returns `out` if given; otherwise an array of the engine's own, overwritten by the next call. separate: also
        return the sources, (slots, samples[, channels]), by slot of the bank's largest model, always an array of the
        engine's own; they have no gains and no limiter. Ask for them in every call or in none: what was not asked for
        is not computed. After a call that something interrupted the next one begins with `reset`.
        Raises ConfigError for a block of another shape or type, never for anything the samples hold.
        """
        if self._closed:
            raise StreamsepError("this engine is closed")
        wanted = ((), (1,)) if self.channels == 1 else ((self.channels,),)
        if not isinstance(block, np.ndarray):
            raise ConfigError(f"block: expected a NumPy array, got {type(block).__name__}")
        if block.ndim == 0 or block.shape[1:] not in wanted:
            raise ConfigError(f"block: expected shape (samples, {self.channels}), got {block.shape}")
        if block.dtype.kind != "f":
            raise ConfigError(f"block: expected floating point samples in [-1, 1], got {block.dtype}")
        count = len(block)
        if count > len(self._block):
            self._grow(count)
        if out is None:
            out = self._block[:count].reshape(block.shape)
        elif not isinstance(out, np.ndarray):
            raise ConfigError(f"out: expected a NumPy array, got {type(out).__name__}")
        elif out.shape != block.shape:
            raise ConfigError(f"out: expected the block's shape {block.shape}, got {out.shape}")
        elif out.dtype.kind != "f" or not out.flags.writeable:
            kind = out.dtype if out.flags.writeable else "one that is read-only"
            raise ConfigError(f"out: expected an array for floating point samples, got {kind}")
        if self._torn:  # something was raised in mid-sound, by Ctrl-C or want of memory: what it left fits nothing
            self.reset()
        if separate and not self._separating:
            self._separating = True
            self._path.begin_sources()
        lanes_in = block[None] if block.ndim == 1 else block.T
        lanes_out = out[None] if out.ndim == 1 else out.T
        done = 0
        self._given += count
        self._torn = True
        while done < count:
            step = min(count - done, self._length - self._filled)
            new = self._gather(lanes_in[:, done : done + step])
            self._path.pass_on(new, lanes_out[:, done : done + step])
            if self._separating:
                self._path.pass_on_sources(new, self._source_block[:, done : done + step])
            done += step
            if self._filled == self._length:
                self._hop()
        self._torn = False
        if not separate:
            return out
        sources = self._source_block.reshape(self._slots, self.channels, -1)[:, :, :count]
        return out, sources[:, 0] if block.ndim == 1 else sources.transpose(0, 2, 1)

    @audio_thread
    def _gather(self, new: Block) -> Samples:
        """(channels, samples) -> the same, cleaned; they wait until there is a hop of them."""
        at, self._filled = self._filled, self._filled + new.shape[1]
        gathered = self._gathered[:, at : self._filled]
        self._clean &= self._cleaner.process(new, gathered)
        return gathered

    @audio_thread
    def _hop(self) -> None:
        """One complete hop through the whole path."""
        self._controls.take()
        gathered = self._gathered[:, : self._length]
        samples = gathered if self._down is None else self._down.process(gathered)
        begin, self._step_filled = self._step_filled, self._step_filled + samples.shape[1]
        self._step[:, begin : self._step_filled] = samples
        if self._step_filled == self._step.shape[1]:
            self._step_filled = 0
            self.steps += 1
            self._spectrum = self._analysis.process(self._step)
            self._hand_over.process(self._spectrum, self._step, self._dry_fade.finished)
            self._path.take(self._total(), self._hand_over.masks, len(self._hand_over.active.names))
        self._path.process(gathered, samples, self._spectrum, self._clean)
        self.counters.hops += 1
        self.counters.non_finite_hops += not self._clean
        self.counters.limited_hops += self._limiter.limited > self._limited_calls
        self._limited_calls = self._limiter.limited
        self.journal.sample += self._length
        self._begin_hop()

    @audio_thread
    def _begin_hop(self) -> None:
        """Nothing of the next hop is there yet."""
        self._filled = 0
        self._clean = True
        self._length = self._schedule.length(self.counters.hops)

    @audio_thread
    def _total(self) -> Array:
        """(bins,): the mask of what is heard, faded to the dry sound or back."""
        total = self._hand_over.total
        weight = self._dry_fade.step(self._controls.bypassed or self._hand_over.silent)
        if weight == 1.0:
            return self._ones
        if weight > 0.0:
            blend(total, self._ones, weight, out=self._dry_total)
            return self._dry_total
        return total

    # ---------------------------------------------------------------------------------------------- the control side

    def flush(self, separate: bool = False) -> Heard:
        """The tail that the latency still holds, (latency.samples[, channels]), as if silence followed."""
        shape = (self.latency.samples,) if self.channels == 1 else (self.latency.samples, self.channels)
        return self.process(np.zeros(shape, np.float32), separate=separate)

    @property
    def domain(self) -> str:
        """The domain that is heard; during a fade still the old one, and while the sound is dry the last."""
        return self.domains[self._renderings.index(self._hand_over.active)]

    @property
    def dry(self) -> bool:
        """Whether the dry sound is heard, or faded in: in bypass, and while no model is confident."""
        return self._controls.bypass or self._hand_over.silent

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the active domain's slots, in order; repeated roles are numbered: ("talker-1", "talker-2")."""
        return self._hand_over.active.names

    @property
    def slots(self) -> dict[str, tuple[str, ...]]:
        """The same of every domain."""
        return {name: rendering.names for name, rendering in zip(self.domains, self._renderings, strict=True)}

    @property
    def state_size(self) -> int:
        """Numbers in the largest state of a separator."""
        states = (rendering.separator.state() for rendering in self._renderings)
        return max(sum(array.size for array in state.values()) for state in states)

    @property
    def locked(self) -> str | None:
        """The domain that was selected; None while the choice is the monitor's."""
        locked = self._hand_over.locked
        return None if locked == DRY else self.domains[locked]

    def source_levels(self) -> dict[str, float]:
        """How loud every source of the active domain was in the newest hop, before gains: full scale is about 1."""
        return self._hand_over.levels()

    @audio_thread
    def relieve(self, level: int) -> None:
        """Give up work, by level: see `realtime.overload`. The audio side's, between two calls of `process`."""
        self.journal.note(RELIEF, level)
        self._hand_over.hurried = level >= FADES_SHORT
        self._hand_over.resting = level >= HIGHEST

    def select(self, domain: str) -> None:
        """Go over to another domain: it listens along for `warm_up_ms`, then it is faded in over `fade_ms`. A monitor
        leaves it at that until "auto" is selected, which gives the choice back to it.

        Returns at once. While a hand-over runs the newest request waits for its end. Raises ConfigError for an
        unknown domain, and for "auto" where there is no monitor."""
        self._must_be_open()
        if domain == AUTO and self._monitor:
            self._hand_over.orders.withdraw()
            self._hand_over.locked = DRY
            return
        if domain not in self.domains:
            hint = "; 'auto' needs a monitor, which an engine has that was loaded with it" if domain == AUTO else ""
            raise ConfigError(f"domain: unknown domain {domain!r}; this bank has {sorted(self.domains)}{hint}")
        index = self.domains.index(domain)
        if self._monitor:
            self._hand_over.locked = index
        self._hand_over.orders.put(Order(index))

    def bypass(self, on: bool) -> None:
        """Fade to the delayed input, or back, over `fade_ms`. The latency stays the same."""
        self._controls.bypass = bool(on)

    def set_gain(self, role: str, db: float) -> None:
        """Set the gain of a role ("speech") or of a slot ("talker-1"), in dB, -120 (silent) to +24. It glides there.

        Raises ConfigError for a role that no domain has, or a gain out of range."""
        self._must_be_open()
        self._controls.set_gain(role, db)

    def reset(self) -> None:
        """As new: nothing is remembered of the sound so far. Domain, gains and bypass stay as they are, and a domain
        that was asked for still comes."""
        self._must_be_open()
        self._torn = True
        self.counters.clear()
        self.journal.sample = self._given
        self._controls.take()
        self.journal.note(RESET)
        self._hand_over.restart()
        self._dry_fade.restart(self.dry)
        for part in (self._down, self._analysis, self._path, self._limiter):
            if part is not None:
                part.reset()
        self._path.take(self._total(), self._hand_over.masks, len(self._hand_over.active.names))
        self._step_filled = 0
        self._separating = False
        self._limited_calls = 0
        self._begin_hop()
        self._torn = False

    def repeat(self, entry: Entry) -> None:
        """What the journal of another engine like this says, once as many samples were taken in as it says: so the
        same sound is heard again."""
        if entry.kind == GAIN:
            self._controls.set_slot(entry.index, entry.slot, entry.value)
        elif entry.kind == BYPASS:
            self.bypass(bool(entry.index))
        elif entry.kind == HAND_OVER:
            self._controls.take()  # who comes in begins with the gains of its first hop
            self._hand_over.repeat(entry)
        elif entry.kind == RELIEF:
            self.relieve(entry.index)
        elif entry.kind == RESET:
            self.reset()

    def close(self) -> None:
        """Release the separators; a closed engine processes nothing more, but still tells what it was and counted."""
        if not self._closed:
            self._closed = True
            if self._monitor:
                self._monitor.close()
            for rendering in self._renderings:
                rendering.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _must_be_open(self) -> None:
        if self._closed:
            raise StreamsepError("this engine is closed")

    def _grow(self, samples: int) -> None:
        """Make room for blocks of this many samples."""
        self._source_block = np.zeros((self._slots * self.channels, samples), np.float32)
        self._block = np.zeros((samples, self.channels), np.float32)  # the last: its length says that there is room
