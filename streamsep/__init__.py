"""Separate sound while it happens.

>>> import numpy as np
>>> import streamsep
>>> engine = streamsep.load(domain="noise", rate=48_000)
>>> heard = engine.process(np.zeros(256, np.float32))  # engine.latency.ms later, hop by hop
>>> song = streamsep.separate(np.zeros((4410, 2), np.float32), rate=44_100, domain="music")
>>> len(heard), song.listen.shape, sorted(song.sources)
(256, (4410, 2), ['accompaniment', 'vocals'])
"""

from streamsep.assembly import load
from streamsep.errors import AudioError, ConfigError, DeviceError, ModelError, StreamsepError
from streamsep.realtime.engine import Engine
from streamsep.realtime.ledger import Ledger
from streamsep.recording import Score, Separation, score, separate

__version__ = "0.1.0"

__all__ = [
    "AudioError",
    "ConfigError",
    "DeviceError",
    "Engine",
    "Ledger",
    "ModelError",
    "Score",
    "Separation",
    "StreamsepError",
    "load",
    "score",
    "separate",
]
