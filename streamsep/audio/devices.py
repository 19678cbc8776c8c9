"""Sound devices, as PortAudio sees them. The library is looked for when a device is first asked for, not before."""

from dataclasses import dataclass
from types import ModuleType
from typing import Literal

from streamsep.errors import DeviceError

Side = Literal["input", "output"]

INSTALL = (
    "install it (Debian, Ubuntu: apt install libportaudio2; Fedora: dnf install portaudio; "
    "on macOS and Windows it comes with pip install sounddevice)"
)
NOTHING = "plug one in or start the sound server (JACK, PipeWire)"


@dataclass(frozen=True)
class Device:
    """One device of one host API; `rate` in Hz is what it runs at when nobody asks for another."""

    index: int
    name: str
    api: str
    inputs: int  # channels
    outputs: int  # channels
    rate: int
    default_input: bool
    default_output: bool


def portaudio() -> ModuleType:
    """The sounddevice module. Raises DeviceError, with what to install, where there is no PortAudio."""
    try:
        import sounddevice  # here, not above: importing it loads PortAudio, which not every machine has
    except OSError as error:
        raise DeviceError(f"the PortAudio library was not found ({error}): {INSTALL}") from None
    module: ModuleType = sounddevice
    return module


def devices() -> list[Device]:
    """Every device there is; none on a machine without a sound card. Raises DeviceError without PortAudio."""
    sd = portaudio()
    apis = sd.query_hostapis()
    default_input, default_output = sd.default.device
    return [
        Device(
            index=found["index"],
            name=found["name"],
            api=apis[found["hostapi"]]["name"],
            inputs=found["max_input_channels"],
            outputs=found["max_output_channels"],
            rate=round(found["default_samplerate"]),
            default_input=found["index"] == default_input,
            default_output=found["index"] == default_output,
        )
        for found in sd.query_devices()
    ]


def find(wanted: str | None, side: Side) -> Device:
    """The device of a number or of a part of a name (letter case aside); None: the default one.

    Raises DeviceError when there is none, when several fit, and when it has no channels on that side.
    """
    able = [device for device in devices() if channels_of(device, side)]
    if not able:
        raise DeviceError(f"there is no {side} device: {NOTHING}, then see `streamsep devices`")
    listed = ", ".join(f"{device.index} {device.name!r}" for device in able)
    if wanted is None:
        fitting = [device for device in able if (device.default_input if side == "input" else device.default_output)]
        if not fitting:
            raise DeviceError(f"no default {side} device is set; choose one with --{side}: {listed}")
    elif wanted.isdecimal():
        fitting = [device for device in able if device.index == int(wanted)]
    else:
        fitting = [device for device in able if wanted.lower() in device.name.lower()]
        exact = [device for device in fitting if device.name.lower() == wanted.lower()]
        fitting = exact if len(exact) == 1 else fitting
    if not fitting:
        raise DeviceError(f"no {side} device {wanted!r}; there are {listed}")
    if len(fitting) > 1:
        fits = ", ".join(f"{device.index} {device.name!r} ({device.api})" for device in fitting)
        raise DeviceError(f"more than one {side} device fits {wanted!r}: {fits}; choose one by its number")
    return fitting[0]


def channels_of(device: Device, side: Side) -> int:
    """How many channels a device has on that side."""
    return device.inputs if side == "input" else device.outputs
