"""A program that plays a tone on one stream and hears it on another, both of a JACK server, wired to each other;
tells as JSON what it heard."""

import ctypes
import json
import sys
import time

import numpy as np
from jack_server import NO_START_SERVER

from streamsep.arrays import Block
from streamsep.audio.callback import Callback
from streamsep.audio.devices import find
from streamsep.audio.two_devices import TwoDevices
from streamsep.realtime.journal import Journal

RATE, CHANNELS, HZ = 48_000, 2, 440.0
PIECE = 2400  # samples of the sound that are judged at a time
PACE = 2 * np.pi * HZ / RATE


class Tone:
    """An engine that plays a tone whatever it hears, and remembers that."""

    rate, channels = RATE, CHANNELS

    def __init__(self) -> None:
        self.journal = Journal()
        self.steps = 0
        self.heard: list[Block] = []
        self._count = 0

    def process(self, block: Block, out: Block) -> Block:
        self.heard.append(block.copy())
        out[:] = 0.5 * np.sin(PACE * (self._count + np.arange(len(out))))[:, None]
        self._count += len(out)
        return out

    def relieve(self, level: int) -> None:
        pass


def wire() -> None:
    """Our output to our input."""
    jack = ctypes.CDLL("libjack.so.0")
    jack.jack_client_open.restype = ctypes.c_void_p
    jack.jack_connect.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
    jack.jack_get_ports.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong]
    jack.jack_get_ports.restype = ctypes.POINTER(ctypes.c_char_p)
    client = jack.jack_client_open(b"wires", NO_START_SERVER, None)
    ports = [jack.jack_get_ports(client, b"PortAudio", None, direction) for direction in (2, 1)]  # out, in
    for lane in range(CHANNELS):
        if jack.jack_connect(client, ports[0][lane], ports[1][lane]):
            raise RuntimeError("not connected")


def main(seconds: float, block: int) -> None:
    engine = Tone()
    callback = Callback(engine)
    stream = TwoDevices(callback, find("system", "input"), find("system", "output"), RATE, CHANNELS, block)
    stream.start()
    wire()
    time.sleep(seconds)
    alive = stream.alive
    stream.stop()
    heard = np.concatenate(engine.heard)[:, 0].astype(float)
    waves = np.stack([np.sin(PACE * np.arange(PIECE)), np.cos(PACE * np.arange(PIECE))], axis=1)
    levels, rests = [], []
    for at in range(0, len(heard) - PIECE, PIECE):
        piece = heard[at : at + PIECE]
        found, *_ = np.linalg.lstsq(waves, piece, rcond=None)
        levels.append(float(np.hypot(*found)))
        rests.append(float(np.std(piece - waves @ found)))
    report = callback.report()
    told = {name: report[name] for name in ("callbacks", "faults", "underruns", "overruns")}
    result = {
        "levels": levels,
        "rests": rests,
        "alive": alive,
        "closed": not stream.alive,
        "silent": callback.silent,
        "terms": stream.terms,
        **told,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
