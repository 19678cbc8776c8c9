"""What was heard of sound servers, devices and callbacks, judged. Pure functions, as in `findings`."""

import re
from typing import Literal

from streamsep.audio.devices import Device
from streamsep.doctor.callbacks import Callbacks
from streamsep.doctor.findings import Finding

LONG_PERIOD_MS = 6.0  # of a sound server: it is heard two or three times
SHORT = 128  # samples: a period to ask for instead
Server = Literal["JACK", "PipeWire"]


def library(version: str | None, found: list[Device], apis: list[str]) -> Finding:
    """version: of PortAudio, None: there is none. apis: its host APIs, of which some may have no device."""
    if version is None:
        return Finding("PortAudio", "bad", "it is not installed", "sudo apt install libportaudio2")
    number = {api: sum(device.api == api for device in found) for api in apis}
    listed = ", ".join(f"{api} ({count} device{'' if count == 1 else 's'})" for api, count in number.items())
    if not found:
        return Finding(
            "PortAudio",
            "bad",
            f"{version}; it sees no device: {listed or 'no host API'}",
            "aplay -l   # lists Linux's sound cards: is one missing? Plug it in, or start JACK or PipeWire",
        )
    return Finding("PortAudio", "good", f"{version}: {listed}")


def jack_server(period: int, rate: int, realtime: bool) -> Finding:
    """period: samples."""
    period_ms = 1000 * period / rate
    found = f"it hands over {period} samples at a time at {rate} Hz ({period_ms:.1f} ms)"
    if not realtime:
        return Finding(
            "JACK",
            "bad",
            f"{found}, without real-time priority",
            "jackd --realtime ...   # once a thread may have it",
        )
    if period_ms > LONG_PERIOD_MS:
        return Finding("JACK", "fair", f"{found}: that is long", take(SHORT, "JACK"))
    return Finding("JACK", "good", f"{found}, with real-time priority")


def no_jack_server() -> Finding:
    """It is installed, and nobody is in its place."""
    found = "it is installed, but no server answers: it would be the shortest way to a sound card"
    return Finding("JACK", "fair", found, f"jackd --realtime -d alsa --rate 48000 --period {SHORT}")


def pipewire(settings: str | None, running: bool, as_jack: bool) -> Finding | None:
    """settings: what `pw-metadata -n settings` printed, None: it is not there. running: whether its socket is.
    as_jack: whether PortAudio has found a JACK server, which then is PipeWire.

    >>> pipewire("update: id:0 key:'clock.quantum' value:'128' type:''", True, True).found
    'its quantum is 128 samples at 48000 Hz (2.7 ms)'
    """
    if not running:
        return None
    if settings is None:
        return Finding("PipeWire", "unknown", "it runs; its quantum is not known", "sudo apt install pipewire-bin")
    values = dict(re.findall(r"key:'([\w.-]+)' value:'([^']*)'", settings))
    quantum = int(values.get("clock.force-quantum") or 0) or int(values.get("clock.quantum") or 1024)
    rate = int(values.get("clock.force-rate") or 0) or int(values.get("clock.rate") or 48_000)
    found = f"its quantum is {quantum} samples at {rate} Hz ({1000 * quantum / rate:.1f} ms)"
    if not as_jack:
        return Finding(
            "PipeWire",
            "fair",
            f"{found}; PortAudio does not use it as JACK, the shortest way",
            "pw-jack streamsep live",
        )
    if 1000 * quantum / rate > LONG_PERIOD_MS:
        return Finding("PipeWire", "fair", f"{found}: that is long", take(SHORT, "PipeWire"))
    return Finding("PipeWire", "good", found)


def take(block: int, server: Server | None) -> str:
    """The command that makes blocks so many samples long. server: whose periods they are, if somebody's.

    >>> take(256, None)
    'streamsep live --block 256'
    """
    if server == "PipeWire":
        return f"pw-metadata -n settings 0 clock.force-quantum {block}"
    return f"jack_bufsize {block}" if server == "JACK" else f"streamsep live --block {block}"


def regularity(what: str, seen: Callbacks, mend: str | None) -> Finding:
    """Whether the callbacks came and ended in time. what: ran in them. mend: takes longer blocks, see `smallest`."""
    name = f"callbacks with {what}"
    figures = seen.figures()
    found = (
        f"{seen.calls} of {seen.period_ms:.2f} ms; {seen.late} were late, the device counted {seen.gaps} gaps. Off "
        f"their time by up to {figures['jitter_p99_ms']:.2f} ms (99 %), {figures['jitter_max_ms']:.2f} ms (worst); "
        f"took {figures['took_p50_ms']:.2f} ms (half), {figures['took_p99_ms']:.2f} ms (99 %), "
        f"{figures['took_max_ms']:.2f} ms (worst)"
    )
    if seen.safe:
        return Finding(name, "good", found)
    return Finding(name, "bad", found, mend)


def smallest(tried: dict[int, bool], server: Server | None) -> Finding:
    """With the command that takes it; where none was safe, a longer one. tried: whether blocks of so many samples
    were taken and free of gaps, from short to long. server: see `take`."""
    safe = [block for block, fine in tried.items() if fine]
    gappy = ", ".join(str(block) for block, fine in tried.items() if not fine)
    if safe:
        rest = f"; callbacks were late, or the device refused, with {gappy}" if gappy else ""
        return Finding("smallest safe block", "good", f"{min(safe)} samples{rest}", take(min(safe), server))
    found = f"callbacks were late, or the device refused, with every one that was tried: {gappy}"
    mend = f"{take(2 * max(tried, default=SHORT), server)}   # once what is above is mended"
    return Finding("smallest safe block", "bad", found, mend)
