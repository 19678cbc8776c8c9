"""Which sound devices are meant: by default, by number or by a part of their name."""

import ctypes.util
import subprocess
import sys

import pytest

from streamsep.audio import devices
from streamsep.audio.devices import Device
from streamsep.errors import DeviceError

LIMIT_S = 120  # of a subprocess, on a machine that has other things to do

MICROPHONE = Device(0, "USB Microphone", "ALSA", 1, 0, 48000, False, False)
CARD = Device(1, "Card", "ALSA", 2, 2, 48000, True, True)
WIRELESS = Device(2, "Card, wireless", "ALSA", 0, 2, 44100, False, False)


@pytest.fixture
def three(monkeypatch):
    monkeypatch.setattr(devices, "devices", lambda: [MICROPHONE, CARD, WIRELESS])


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("wanted", "side", "found"),
    [
        (None, "input", CARD),
        (None, "output", CARD),
        ("usb", "input", MICROPHONE),
        ("0", "input", MICROPHONE),
        ("wire", "output", WIRELESS),
        ("card", "output", CARD),
        ("card", "input", CARD),
    ],
)
def test_a_device_is_found_by_default_by_number_and_by_a_part_of_its_name(wanted, side, found):
    assert devices.find(wanted, side) == found


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("wanted", "side", "said"),
    [
        ("usb", "output", "no output device 'usb'; there are 1 'Card', 2 'Card, wireless'"),
        ("7", "input", "no input device '7'"),
        ("car", "output", "more than one output device fits 'car'"),
    ],
)
def test_a_device_that_is_not_there_or_not_one_is_refused_with_what_there_is(wanted, side, said):
    with pytest.raises(DeviceError, match=said):
        devices.find(wanted, side)


def test_a_machine_without_devices_says_so(monkeypatch):
    monkeypatch.setattr(devices, "devices", lambda: [])
    with pytest.raises(DeviceError, match="there is no input device: plug one in"):
        devices.find(None, "input")


def test_a_machine_without_a_default_device_asks_for_one(monkeypatch):
    monkeypatch.setattr(devices, "devices", lambda: [MICROPHONE])
    with pytest.raises(
        DeviceError, match="no default input device is set; choose one with --input: 0 'USB Microphone'"
    ):
        devices.find(None, "input")


def test_without_portaudio_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    with pytest.raises(DeviceError, match=r"PortAudio library was not found .* apt install libportaudio2"):
        devices.devices()


def test_nothing_needs_portaudio_until_a_device_is_asked_for():
    program = (
        "import sys; sys.modules['sounddevice'] = None\n"
        "import streamsep, streamsep.cli.main, streamsep.audio.devices, streamsep.audio.live"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=LIMIT_S)
