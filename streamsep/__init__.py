"""Separate sound while it happens.

>>> engine = streamsep.load(domain="noise", rate=48_000)
>>> heard = engine.process(block)           # hop by hop, engine.latency.ms later
>>> result = streamsep.separate(samples, rate=44_100, domain="music")
"""

from streamsep.assembly import Separation, load, separate
from streamsep.errors import AudioError, ConfigError, DeviceError, ModelError, StreamsepError
from streamsep.realtime.engine import Engine
from streamsep.realtime.ledger import Ledger

__version__ = "0.1.0"

__all__ = [
    "AudioError",
    "ConfigError",
    "DeviceError",
    "Engine",
    "Ledger",
    "ModelError",
    "Separation",
    "StreamsepError",
    "load",
    "separate",
]
