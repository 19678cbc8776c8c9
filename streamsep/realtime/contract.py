"""The contract of the audio side: the mark of its functions, and what every separator promises."""

from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

from streamsep.arrays import Masks, Samples, Spectrum, State

Function = TypeVar("Function", bound=Callable[..., object])


def audio_thread(function: Function) -> Function:
    """Mark a function that runs once per hop, against a deadline.

    It fills arrays that its object already owns: no new arrays, no lock, no logging, no file, and no exception for
    anything that sound can cause. tests/test_audio_side.py finds every marked function and holds it to this.
    """
    function.__audio_thread__ = True  # type: ignore[attr-defined]
    return function


@runtime_checkable
class Separator(Protocol):
    """Something that turns the spectrum of a hop into masks.

    Control side: everything but `process`. Audio side: `process`. One thread at a time: the owner of the separator is
    either the engine (while it is active or coming in) or the control side (before and after).
    """

    sources: tuple[str, ...]  # role of each slot, in order
    bins: int
    look_ahead: int  # hops: `process` returns the masks of the frame that came this many hops ago

    def process(self, spectrum: Spectrum, samples: Samples) -> Masks:
        """(channels, bins), (channels, hop) -> (sources, bins). The returned array is overwritten by the next
        call."""
        ...

    def reset(self) -> None:
        """Forget everything: the next hop is the first one. Audio side too: it fills, it does not make anew."""
        ...

    def state(self) -> State:
        """A copy of everything remembered, by name; empty for a separator that remembers nothing."""
        ...

    def set_state(self, state: State) -> None:
        """Take over a state from `state()` of a separator of the same model. Audio side too: it copies. Raises
        ModelError on a wrong name or shape."""
        ...
