"""The JACK server (or PipeWire in its place), asked directly: what PortAudio does not tell, and the wires.

PortAudio's own figures will not do: whether they count the period that is being processed depends on its version.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from streamsep.audio.devices import Side, portaudio, portaudio_says

LIBRARY = {"linux": "libjack.so.0", "darwin": "libjack.0.dylib", "win32": "libjack64.dll"}
API = "JACK Audio Connection Kit"  # as PortAudio calls it
CLIENT = b"streamsep-asks"
NO_START_SERVER, IS_INPUT, IS_OUTPUT, IS_PHYSICAL = 0x01, 0x1, 0x2, 0x4  # of jack/types.h
LATENCY_MODE = {"input": 0, "output": 1}  # JackCaptureLatency, JackPlaybackLatency
EXISTS = 17  # EEXIST: the wire is there already


class LatencyRange(ctypes.Structure):
    """jack_latency_range_t: of all ways that end in a port, the shortest and the longest, in samples."""

    _fields_ = (("shortest", ctypes.c_uint32), ("longest", ctypes.c_uint32))


class Jack:
    """A client without ports of a running server. Ports are named "client:port". Nobody else sees it work.

    A server that hangs lets its clients wait without end."""

    def __init__(self, library: ctypes.CDLL, client: int) -> None:
        self._library, self._client = library, ctypes.c_void_p(client)
        self.rate = int(library.jack_get_sample_rate(self._client))  # Hz
        self.realtime = bool(library.jack_is_realtime(self._client))

    @property
    def period(self) -> int:
        """Samples that the server hands over at a time."""
        return int(self._library.jack_get_buffer_size(self._client))

    def set_period(self, period: int) -> bool:
        """Change it for everybody; whether the server could."""
        return not self._library.jack_set_buffer_size(self._client, period)

    def ports(self, client: str, side: Side) -> list[str]:
        """The audio ports of a client into which sound goes ("input") or from which it comes."""
        flags = IS_INPUT if side == "input" else IS_OUTPUT
        return [port for port in self._names("jack_get_ports", None, b"audio", flags) if client_of(port) == client]

    def clients(self) -> set[str]:
        """Everybody with an audio port that is no sound card's."""
        everything = self._names("jack_get_ports", None, b"audio", 0)
        return {client_of(port) for port in everything} - {
            client_of(port) for port in self._names("jack_get_ports", None, b"audio", IS_PHYSICAL)
        }

    def wired_to(self, port: str) -> list[str]:
        """The ports at the other ends of a port's wires."""
        found = self._port(port)
        return self._names("jack_port_get_all_connections", found) if found else []

    def latency(self, port: str, side: Side) -> int:
        """Samples between the world and this port, on the input's or the output's side, by the shortest way."""
        found, answer = self._port(port), LatencyRange()
        if found:
            self._library.jack_port_get_latency_range(found, LATENCY_MODE[side], ctypes.byref(answer))
        return int(answer.shortest)

    def wire(self, source: str, sink: str) -> bool:
        """Connect two ports; whether they are connected now."""
        code = self._library.jack_connect(self._client, source.encode(), sink.encode())
        return code in (0, EXISTS)

    def unwire(self, source: str, sink: str) -> None:
        """Disconnect them."""
        self._library.jack_disconnect(self._client, source.encode(), sink.encode())

    def lead_back(self, client: str) -> bool:
        """Wire what a client plays to what it hears, port by port, and both to nothing else; whether that is so."""
        pairs = list(zip(self.ports(client, "output"), self.ports(client, "input"), strict=False))
        for source, sink in pairs:
            for other in self.wired_to(source):
                self.unwire(source, other)
            for other in self.wired_to(sink):
                self.unwire(other, sink)
        return bool(pairs) and all(self.wire(source, sink) for source, sink in pairs)

    def comes_back(self, client: str) -> bool:
        """Whether what a client plays comes back to it, straight or through other clients, not through a sound card.

        JACK breaks such a ring at one place, where the sound waits for the next period."""
        cards = {client_of(port) for port in self._names("jack_get_ports", None, b"audio", IS_PHYSICAL)}
        seen: set[str] = set()
        waiting = [client]
        while waiting:
            for port in self.ports(waiting.pop(), "output"):
                reached = {client_of(other) for other in self.wired_to(port)} - cards
                if client in reached:
                    return True
                waiting += reached - seen
                seen |= reached
        return False

    def _port(self, name: str) -> ctypes.c_void_p | None:
        found = self._library.jack_port_by_name(self._client, name.encode())
        return ctypes.c_void_p(found) if found else None

    def _names(self, function: str, *arguments: object) -> list[str]:
        """What a function of the library lists."""
        listed = getattr(self._library, function)(self._client, *arguments)
        if not listed:
            return []
        names = ctypes.cast(listed, ctypes.POINTER(ctypes.c_char_p))
        found: list[str] = []
        while (name := names[len(found)]) is not None:
            found.append(name.decode())
        self._library.jack_free(ctypes.c_void_p(listed))
        return found


def client_of(port: str) -> str:
    """Whose port it is.

    >>> client_of("system:playback_1")
    'system'
    """
    return port.partition(":")[0]


@contextmanager
def jack() -> Iterator[Jack | None]:
    """A client of the server that PortAudio is a client of; None where it is none, or the server has died."""
    library = None if own_client() is None else _library()
    client = None if library is None else library.jack_client_open(CLIENT, NO_START_SERVER, None)
    if library is None or client is None:
        yield None
        return
    try:
        yield Jack(library, client)
    finally:
        library.jack_client_close(ctypes.c_void_p(client))


class Counter:
    """How many samples the server has asked its clients for so far: up to 2^32, then from 0. Any thread may ask, it
    waits for nothing."""

    def __init__(self, library: ctypes.CDLL, client: int) -> None:
        self._library, self._client = library, client
        prototype = ctypes.PYFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p)  # keeps Python's lock: it takes no time
        self._count = prototype(("jack_last_frame_time", library))

    def __call__(self) -> int:
        """As it is now; not after `close`."""
        return int(self._count(self._client))

    def close(self) -> None:
        """As long as the server lives: it may crash in the end when a client has left without a word."""
        self._library.jack_client_close(ctypes.c_void_p(self._client))


def counter() -> Counter | None:
    """Of the server that PortAudio is a client of; None where it is none."""
    library = None if own_client() is None else _library()
    client = None if library is None else library.jack_client_open(CLIENT, NO_START_SERVER, None)
    return None if library is None or client is None else Counter(library, client)


def _library() -> ctypes.CDLL | None:
    """libjack, its functions told what they return."""
    try:
        library = ctypes.CDLL(LIBRARY.get(sys.platform, LIBRARY["linux"]))
    except OSError:
        return None
    for name in ("client_open", "get_ports", "port_by_name", "port_get_all_connections"):
        getattr(library, f"jack_{name}").restype = ctypes.c_void_p
    return library


def own_client() -> str | None:
    """What this process's PortAudio is called among the clients; None where it is none of JACK's."""
    if API not in portaudio_says()[1]:  # it would complain on standard error
        return None
    try:
        ask = ctypes.CDLL(portaudio()._libname).PaJack_GetClientName
    except (AttributeError, OSError):
        return None
    name = ctypes.c_char_p()
    return None if ask(ctypes.byref(name)) or name.value is None else name.value.decode()
