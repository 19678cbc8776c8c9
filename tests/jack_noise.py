"""A client of a JACK server that plays faint noise, or for as long as one likes what is no number."""

import ctypes
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle

import numpy as np
from jack_server import NO_START_SERVER, SERVER_NAME

LIMIT_S = 120
PROCESS = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint32, ctypes.c_void_p)
SOUND, OUT = b"32 bit float mono audio", 2  # JACK_DEFAULT_AUDIO_TYPE, JackPortIsOutput
LEVEL = 1e-3  # so faint that the models of `small_bank` take it for noise
POISONS = np.float32([np.nan, 0.5, np.inf, -np.inf]), np.float32([np.inf, 0.5]), np.float32([0.5, -np.inf])


class JackNoise:
    """Its only port is "faint:out"."""

    def __init__(self, server: str) -> None:
        self.poisoned = False
        self._random = np.random.default_rng(1)
        self._poisons = cycle(POISONS)  # another one in every period
        jack = self._jack = ctypes.CDLL("libjack.so.0")
        for name in ("client_open", "port_register", "port_get_buffer"):
            getattr(jack, f"jack_{name}").restype = ctypes.c_void_p
        status, options = ctypes.c_int(), NO_START_SERVER | SERVER_NAME
        self._client = ctypes.c_void_p(
            jack.jack_client_open(b"faint", options, ctypes.byref(status), server.encode())
        )
        self._port = ctypes.c_void_p(jack.jack_port_register(self._client, b"out", SOUND, OUT, 0))
        self._process = PROCESS(self._fill)
        jack.jack_set_process_callback(self._client, self._process, None)
        jack.jack_activate(self._client)

    def _fill(self, frames: int, _: object) -> int:
        buffer = self._jack.jack_port_get_buffer(self._port, frames)
        sound = np.ctypeslib.as_array(ctypes.cast(buffer, ctypes.POINTER(ctypes.c_float)), (frames,))
        if self.poisoned:
            sound[:] = np.resize(next(self._poisons), frames)
        else:
            sound[:] = LEVEL * self._random.standard_normal(frames)
        return 0

    def close(self) -> None:
        self._jack.jack_client_close(self._client)


@contextmanager
def jack_noise(environment: dict[str, str], into: str) -> Iterator[JackNoise]:
    """Plays into a port, as soon as that is there."""
    noise = JackNoise(environment["JACK_DEFAULT_SERVER"])
    try:
        connect, deadline = ["jack_connect", "faint:out", into], time.monotonic() + LIMIT_S
        while subprocess.run(connect, env=environment, check=False, capture_output=True).returncode:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield noise
    finally:
        noise.close()
