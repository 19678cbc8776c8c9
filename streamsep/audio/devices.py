"""Sound devices, as PortAudio sees them. The library is looked for when a device is first asked for, not before."""

import atexit
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType, ModuleType
from typing import Literal

from streamsep.errors import DeviceError, DeviceGoneError

Side = Literal["input", "output"]

INSTALL = (
    "install it (Debian, Ubuntu: apt install libportaudio2; Fedora: dnf install portaudio; "
    "on macOS and Windows it comes with pip install sounddevice)"
)
NOTHING = "plug one in or start the sound server (JACK, PipeWire)"
PLACE = re.compile(r"\s*\(hw:\d+,\d+\)$")  # where ALSA found a device this time, behind its name


@dataclass(frozen=True)
class Device:
    """One device of one host API; `rate` in Hz is what it runs at when nobody asks for another.

    Its name and its API stay the same while it is plugged out and in again; its index does not."""

    index: int
    name: str
    api: str
    inputs: int  # channels
    outputs: int  # channels
    rate: int
    default_input: bool
    default_output: bool
    api_default_input: bool = False  # among those of its host API
    api_default_output: bool = False
    input_ms: float = 0.0  # its own latency, in small blocks, as PortAudio guesses it before it is opened
    output_ms: float = 0.0


@contextmanager
def held() -> Iterator[None]:
    """Ctrl-C waits until this is done: PortAudio and JACK crash, at the end of the process at the latest, when they
    are interrupted while they begin or while a device is opened, started or closed."""
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    pressed = False

    def press(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True

    before = signal.signal(signal.SIGINT, press)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
        if pressed:  # whatever PortAudio says of being interrupted
            signal.raise_signal(signal.SIGINT)


def portaudio() -> ModuleType:
    """The sounddevice module. Raises DeviceError, with what to install, where there is no PortAudio."""
    try:
        with held():
            import sounddevice  # here, not above: importing it loads PortAudio, which not every machine has
    except OSError as error:
        raise DeviceError(f"the PortAudio library was not found ({error}): {INSTALL}") from None
    module: ModuleType = sounddevice
    return module


def devices() -> list[Device]:
    """Every device there was when this process first asked; none on a machine without a sound card.

    A process never sees what is plugged in later, or a sound server that is started later: PortAudio would have to
    end and begin anew to look again, and where its JACK server has died that aborts the process. Start another one.
    Raises DeviceError without PortAudio."""
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
            api_default_input=found["index"] == apis[found["hostapi"]]["default_input_device"],
            api_default_output=found["index"] == apis[found["hostapi"]]["default_output_device"],
            input_ms=round(1000 * found["default_low_input_latency"], 2) if found["max_input_channels"] else 0.0,
            output_ms=round(1000 * found["default_low_output_latency"], 2) if found["max_output_channels"] else 0.0,
        )
        for found in sd.query_devices()
    ]


def portaudio_says() -> tuple[str, list[str]]:
    """Its version, and its host APIs, with and without devices. Raises DeviceError without PortAudio."""
    sd = portaudio()
    version = sd.get_portaudio_version()[1].partition(",")[0].removeprefix("PortAudio ")
    return version, [api["name"] for api in sd.query_hostapis()]


@contextmanager
def abandoned_when_gone() -> Iterator[None]:
    """After a DeviceGoneError inside, PortAudio is not given back at the end of this process: when its sound server
    has died it would wait for minutes, or abort. In all other cases it has to be given back, or libjack crashes."""
    try:
        yield
    except DeviceGoneError:
        atexit.unregister(portaudio()._exit_handler)
        raise


def of_api(found: list[Device], api: str | None) -> list[Device]:
    """The devices of the host APIs with this part in their name, letter case aside; None: of all.

    Raises DeviceError, with the host APIs that have devices, when none fits."""
    if api is None:
        return found
    fitting = [device for device in found if api.lower() in device.api.lower()]
    if not fitting:
        if not found:
            raise DeviceError(f"no host API has a device, {api!r} neither: {NOTHING}")
        there = ", ".join(sorted({repr(device.api) for device in found}))
        raise DeviceError(f"no host API {api!r} has a device; those that have: {there}")
    return fitting


def find(wanted: str | None, side: Side, api: str | None = None) -> Device:
    """The device of a number or of a part of a name (letter case aside); None: the default one.

    api: a part of the name of the host API that it must belong to; None: of any. Raises DeviceError, with what there
    is, when there is none, when several fit, and when it has no channels on that side."""
    able = [device for device in of_api(devices(), api) if channels_of(device, side)]
    if not able:
        among = "" if api is None else f" of host API {api!r}"
        raise DeviceError(f"there is no {side} device{among}: {NOTHING}, then see `streamsep devices`")
    if wanted is None:
        fitting = defaults(able, side, api)
    elif wanted.isdecimal():
        fitting = [device for device in able if device.index == int(wanted)]
    else:
        fitting = [device for device in able if wanted.lower() in device.name.lower()]
        exact = [device for device in fitting if device.name.lower() == wanted.lower()]
        fitting = exact if len(exact) == 1 else fitting
    if not fitting and wanted is None:
        raise DeviceError(f"no default {side} device is set; choose one with --{side}: {listed(able)}")
    if not fitting:
        raise DeviceError(f"no {side} device {wanted!r}; there are {listed(able)}")
    if len(fitting) > 1:
        raise DeviceError(
            f"more than one {side} device fits {wanted!r}: {listed(fitting)}; choose one by its number, or with --api"
        )
    return fitting[0]


def defaults(able: list[Device], side: Side, api: str | None) -> list[Device]:
    """The default device, or with a host API its own, if that is not the default of all; empty: there is none."""
    everywhere = [device for device in able if (device.default_input if side == "input" else device.default_output)]
    if everywhere or api is None:
        return everywhere
    its_own = [
        device for device in able if (device.api_default_input if side == "input" else device.api_default_output)
    ]
    return its_own[:1]


def refind(device: Device, side: Side) -> Device:
    """A device that another process has found, after it was plugged out and in, whatever its number is now.

    It is known by its host API and its name, less the place that ALSA gives it; where several have that name, by the
    full name, and where that is gone too, by its number or else the first. Raises DeviceError while it is away."""
    able = [found for found in devices() if found.api == device.api and channels_of(found, side)]
    alike = [found for found in able if lasting_name(found.name) == lasting_name(device.name)]
    alike.sort(key=lambda found: (found.name != device.name, found.index != device.index))
    if not alike:
        raise DeviceError(f"the {side} device {device.name!r} ({device.api}) is away")
    return alike[0]


def lasting_name(name: str) -> str:
    """A device's name without what changes when it is plugged in elsewhere.

    >>> lasting_name("USB Microphone: Audio (hw:2,0)")
    'USB Microphone: Audio'
    """
    return PLACE.sub("", name)


def listed(found: list[Device]) -> str:
    """Devices for an error, so that one can be chosen."""
    return ", ".join(f"{device.index} {device.name!r} ({device.api})" for device in found)


def channels_of(device: Device, side: Side) -> int:
    """How many channels a device has on that side."""
    return device.inputs if side == "input" else device.outputs
