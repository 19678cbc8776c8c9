"""What the devices add to the latency of the engine, by its terms: the rest of the ledger."""

import threading

from streamsep.audio.devices import Device
from streamsep.audio.jack import API, jack, own_client
from streamsep.realtime.ledger import Ledger

IN, BLOCKS, LOOP, OUT = "input device", "PortAudio's blocks", "JACK's loop", "output device"
ANSWER_LIMIT_S = 2.0  # a JACK server that hangs lets its clients wait without end


def whole_way(engine: Ledger, devices: dict[str, float]) -> Ledger:
    """The engine's terms and the devices' (see `device_terms`), in the order of the sound: from the microphone to the
    ears.

    >>> whole_way(Ledger(48_000, {"window": 192}), {"input device": 128, "output device": 256}).terms
    {'input device': 128, 'window': 192, 'output device': 256}
    """
    first = {term: devices[term] for term in devices if term == IN}
    return Ledger(engine.rate, first | engine.terms | devices, engine.filter_ms)


def device_terms(
    source: Device, sink: Device, rate: int, block: int, latency_ms: dict[str, float]
) -> dict[str, float]:
    """Of a stream that is open, in samples at `rate` Hz. block: what PortAudio was asked for, 0: as the device likes.
    latency_ms: what PortAudio says of the stream, by side; of most devices there is no more to know.

    JACK is asked itself, and answers for the wires that there are now: how late its sound cards are; a block, if one
    was asked for, which is what PortAudio adds to cut JACK's periods anew (even into blocks of their own length: see
    `best_block`); and the period that JACK adds where the sound comes back to us through other programs and not
    through a sound card, as it does when one of them measures us.
    """
    if source.api == sink.api == API:
        answers: list[dict[str, float] | None] = []
        asking = threading.Thread(target=lambda: answers.append(jack_terms(source, sink, block)), daemon=True)
        asking.start()
        asking.join(ANSWER_LIMIT_S)
        if answers and answers[0] is not None:
            return answers[0]
    return {IN: round(rate * latency_ms["input"] / 1000), OUT: round(rate * latency_ms["output"] / 1000)}


def jack_terms(source: Device, sink: Device, block: int) -> dict[str, float] | None:
    """The terms of the first input and the first output of this process, by the shortest way; None without a server
    or without a stream."""
    me = own_client()
    with jack() as server:
        if server is None or me is None:
            return None
        inputs, outputs = server.ports(me, "input"), server.ports(me, "output")
        if not inputs or not outputs:
            return None
        if server.comes_back(me):
            return {IN: 0, BLOCKS: block, LOOP: server.period, OUT: 0}
        before = server.wired_to(inputs[0]) or server.ports(source.name, "output")  # where it goes once it is started
        after = server.wired_to(outputs[0]) or server.ports(sink.name, "input")
        return {
            IN: min((server.latency(port, "input") for port in before), default=0),
            BLOCKS: block,
            OUT: min((server.latency(port, "output") for port in after), default=0),
        }


def samples_a_call(source: Device, sink: Device, block: int) -> int:
    """What the callback is handed at a time, when PortAudio was asked for such a block; 0: nobody knows yet."""
    if not block and source.api == sink.api == API:
        with jack() as server:
            return 0 if server is None else server.period
    return block


def best_block(source: Device, sink: Device, block: int) -> int:
    """What to ask PortAudio for so as to get blocks of this length. With JACK a block as long as its period is asked
    for as 0, "as the device likes": PortAudio would cut the periods into themselves, one block later."""
    if block and source.api == sink.api == API:
        with jack() as server:
            if server is not None and server.period == block:
                return 0
    return block
