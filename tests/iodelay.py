"""jack_iodelay: a stopwatch that is not ours, on the wires of a `streamsep live`."""

import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

LIMIT_S = 120  # of anything, on a machine that has other things to do
AGREEING = 3  # readings one after the other: the first are taken while the sound still fades in
STALE = 2  # readings after somebody asks: they are of what was before, wholly or in part


class Iodelay:
    """Readings of the round trip, four a second."""

    def __init__(self, environment: dict[str, str], meter: subprocess.Popen[str]) -> None:
        self._environment, self._meter = environment, meter
        self._readings: list[float] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._meter.stdout is not None
        for line in self._meter.stdout:
            if found := re.search(r"([\d.]+) frames .* total roundtrip latency", line):
                self._readings.append(float(found[1]))

    def connect(self, alone: bool = True) -> None:
        """To what live hears and plays, once both are there; alone: instead of to the sound card's ports."""
        wires = [("jack_delay:out", "PortAudio:in_0"), ("PortAudio:out_0", "jack_delay:in")]
        cards = [("system:capture_1", "PortAudio:in_0"), ("PortAudio:out_0", "system:playback_1")]
        for wire in [*(cards if alone else []), *wires]:
            self._until_done("jack_disconnect" if wire in cards else "jack_connect", *wire)

    def measured(self) -> float:
        """Samples from now on, once it has said them several times."""
        first, deadline = len(self._readings) + STALE, time.monotonic() + LIMIT_S
        while True:
            newest = self._readings[first:][-AGREEING:]
            if len(newest) == AGREEING and max(newest) - min(newest) < 0.1:
                return newest[-1]
            assert self._meter.poll() is None, "jack_iodelay ended"
            assert time.monotonic() < deadline, f"jack_iodelay does not settle: {self._readings[first:]}"
            time.sleep(0.05)

    def _until_done(self, *command: str) -> None:
        deadline = time.monotonic() + LIMIT_S
        while subprocess.run(command, env=self._environment, capture_output=True, timeout=LIMIT_S).returncode:
            assert time.monotonic() < deadline, command
            time.sleep(0.05)


@contextmanager
def iodelay(environment: dict[str, str]) -> Iterator[Iodelay]:
    """Runs it, connected to nothing yet."""
    command = ["stdbuf", "-oL", "jack_iodelay"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as meter:
        try:
            yield Iodelay(environment, meter)
        finally:
            meter.kill()
            meter.wait()
            subprocess.run(["jack_lsp"], env=environment, capture_output=True, timeout=LIMIT_S)  # so that the server
            # has noticed, or it may take six seconds to end
