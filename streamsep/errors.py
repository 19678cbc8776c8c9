"""The exceptions of streamsep, drawn as a tree.

StreamsepError
├── ConfigError     a setting that is unknown, out of range or contradicts another
├── ModelError      a model file that is missing, damaged, or does not say what it must
├── AudioError      a sound file that is missing, empty, not audio, or not finite
└── DeviceError     no sound system, no such device, a device that refuses the format
    └── DeviceGoneError  it played, and does not play any more

All of them are raised on the control side. Sound itself never raises: see `streamsep.realtime`.
"""


class StreamsepError(Exception):
    """Anything streamsep reports to a person; its text says what was wrong and what would be right."""


class ConfigError(StreamsepError):
    """A setting is unknown, out of range, or contradicts another one."""


class ModelError(StreamsepError):
    """A model file is missing, damaged, or its manifest and graph disagree."""


class AudioError(StreamsepError):
    """A sound file is missing, empty, not audio, or holds samples that are not finite."""


class DeviceError(StreamsepError):
    """There is no sound system or no such device, or it refuses the format."""


class DeviceGoneError(DeviceError):
    """A device that played does not play any more."""
