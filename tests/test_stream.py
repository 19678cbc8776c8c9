"""A stream that is looked at: whether its device still plays."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsep.audio import live
from streamsep.audio.jack import API
from streamsep.audio.live import GONE_JACK_S, GONE_S, Stream, running
from streamsep.errors import DeviceGoneError

GONE = "made up: the device went away or its sound server stopped"


class MadeUp(Stream):
    """A stream of no device."""

    def _open(self, *_: Any) -> None:
        self.names = "made up"
        self._stream = SimpleNamespace(active=True, time=0.0)
        self.done: list[str] = []

    def start(self) -> None:
        self.done.append("started")

    def stop(self) -> None:
        self.done.append("stopped")


def made_up(api: str = API) -> tuple[MadeUp, SimpleNamespace]:
    """A stream, and its callback, of which only the number of calls matters."""
    callback: Any = SimpleNamespace(calls=0)
    device: Any = SimpleNamespace(api=api)
    return MadeUp(callback, device, device, 48_000, 2, 0), callback


@given(
    api=st.sampled_from([API, "ALSA"]),
    pauses=st.lists(st.floats(0.0, 1.9 * GONE_S), min_size=1, max_size=9),
    at=st.floats(0, 1e6),
)
def test_a_device_is_gone_when_it_has_not_called_for_as_long_as_none_pauses(
    api: str, pauses: list[float], at: float
) -> None:
    gone_s = GONE_JACK_S if api == API else GONE_S
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "time", SimpleNamespace(monotonic=lambda: at))
        stream, callback = made_up(api)
        stream.check()
        for pause_s in pauses:
            callback.calls += 1
            stream.check()
            at += pause_s
            if pause_s > gone_s:
                with pytest.raises(DeviceGoneError, match=GONE):
                    stream.check()
            elif pause_s < 0.99 * gone_s:
                stream.check()


def test_a_device_is_gone_when_it_says_so_however_often_it_calls() -> None:
    stream, callback = made_up()
    stream.check()
    callback.calls += 1
    stream._stream.active = False
    with pytest.raises(DeviceGoneError, match=GONE):
        stream.check()


def test_a_stream_that_runs_is_stopped_whatever_happens() -> None:
    stream, _ = made_up()
    with pytest.raises(KeyError), running(stream):
        raise KeyError
    assert stream.done == ["started", "stopped"]
