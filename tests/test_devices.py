"""Which sound devices are meant: by default, by number or by a part of their name."""

import ctypes.util
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import streamsep.cli.devices as listing
from streamsep.audio import devices
from streamsep.audio.devices import Device, held
from streamsep.errors import DeviceError

LIMIT_S = 120  # of a subprocess, on a machine that has other things to do

MICROPHONE = Device(0, "USB Microphone", "ALSA", 1, 0, 48000, False, False)
CARD = Device(1, "Card", "ALSA", 2, 2, 48000, True, True)
WIRELESS = Device(2, "Card, wireless", "ALSA", 0, 2, 44100, False, False)
SERVER = Device(3, "system", "JACK Audio Connection Kit", 2, 2, 48000, False, False, True, True)
CLIENT = Device(4, "card player", "JACK Audio Connection Kit", 0, 2, 48000, False, False)


@pytest.fixture
def five(monkeypatch):
    monkeypatch.setattr(devices, "devices", lambda: [MICROPHONE, CARD, WIRELESS, SERVER, CLIENT])


@pytest.mark.usefixtures("five")
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


@pytest.mark.usefixtures("five")
@pytest.mark.parametrize(
    ("wanted", "side", "api", "found"),
    [
        (None, "output", "alsa", CARD),  # the default of all
        (None, "output", "JACK", SERVER),  # the default among its own
        (None, "input", "jack", SERVER),
        ("car", "output", "jack", CLIENT),
        ("wire", "output", "als", WIRELESS),
        ("3", "output", "jack audio", SERVER),
    ],
)
def test_a_host_api_restricts_the_choice(wanted, side, api, found):
    assert devices.find(wanted, side, api) == found


@pytest.mark.usefixtures("five")
@pytest.mark.parametrize(
    ("wanted", "side", "api", "said"),
    [
        (
            None,
            "input",
            "asio",
            "no host API 'asio' has a device; those that have: 'ALSA', 'JACK Audio Connection Kit'",
        ),
        ("usb", "input", "jack", r"no input device 'usb'; there are 3 'system' \(JACK Audio Connection Kit\)$"),
        ("1", "input", "jack", "no input device '1'"),
        ("car", "output", "alsa", "more than one output device fits 'car': 1 'Card' .* 2 'Card, wireless' .ALSA.;"),
    ],
)
def test_what_is_not_of_a_host_api_is_refused_with_what_is(wanted, side, api, said):
    with pytest.raises(DeviceError, match=said):
        devices.find(wanted, side, api)


NAMES = st.sampled_from(["USB Microphone", "USB Microphone: Audio", "Card", "Card (loud)"])
PLACES = st.sampled_from(["", " (hw:0,0)", " (hw:1,0)", " (hw:2,1)"])
APIS = st.sampled_from(["ALSA", "JACK"])
FOUND = st.lists(st.tuples(NAMES, PLACES, APIS), max_size=6)


def numbered(found):
    return [Device(i, name + place, api, 2, 2, 48000, False, False) for i, (name, place, api) in enumerate(found)]


@given(device=st.tuples(NAMES, PLACES, APIS), number=st.integers(0, 9), there=FOUND)
def test_a_device_that_was_plugged_in_again_is_the_same_under_any_number_and_in_any_place(device, number, there):
    name, place, api = device
    before = Device(number, name + place, api, 2, 2, 44100, True, True)
    now = numbered(there)
    alike = [found for found in now if (devices.lasting_name(found.name), found.api) == (name, api)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "devices", lambda: now)
        if not alike:
            with pytest.raises(DeviceError, match="is away"):
                devices.refind(before, "input")
            return
        again = devices.refind(before, "input")
    assert again in alike
    assert again.name == before.name or all(found.name != before.name for found in alike)


def test_of_two_devices_of_one_name_the_one_with_the_old_number_is_taken(monkeypatch):
    twins = numbered([("Card", "", "ALSA"), ("Card", "", "ALSA")])
    monkeypatch.setattr(devices, "devices", lambda: twins)
    assert [devices.refind(twin, "output") for twin in twins] == twins


@pytest.mark.usefixtures("five")
@pytest.mark.parametrize(
    ("wanted", "side", "said"),
    [
        ("usb", "output", r"no output device 'usb'; there are 1 'Card' \(ALSA\), 2 'Card, wireless' \(ALSA\)"),
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
        DeviceError, match=r"no default input device is set; choose one with --input: 0 'USB Microphone' \(ALSA\)"
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


@pytest.mark.usefixtures("five")
@pytest.mark.parametrize("width", [60, 80, 120])
def test_all_of_every_name_is_listed_however_narrow_the_terminal_is(monkeypatch, capsys, width):
    long = "HDA Intel PCH: a codec with a name that no terminal likes (hw:0,0)"
    monkeypatch.setattr(devices, "devices", lambda: [MICROPHONE, replace(CARD, name=long), SERVER])
    monkeypatch.setattr(listing, "results", Console(width=width))
    listing.devices()
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    names = "".join(line.split("│")[3] for line in lines if line.count("│") > 3).replace(" ", "")
    for name in (MICROPHONE.name, long, SERVER.name):
        assert name.replace(" ", "") in names
    for api in (CARD.api, SERVER.api):
        assert [line.strip() for line in lines].count(api) == 1


@pytest.fixture
def _ctrl_c_interrupts() -> Iterator[None]:
    """A shell has its background jobs ignore Ctrl-C, and so do we in them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c_interrupts")
@pytest.mark.parametrize("failing", [False, True])
def test_ctrl_c_waits_until_a_device_is_open_or_refused(failing: bool) -> None:
    done = []

    @held()
    def opened() -> None:
        signal.raise_signal(signal.SIGINT)
        done.append("the rest")
        if failing:
            raise OSError("interrupted")

    with pytest.raises(KeyboardInterrupt):
        opened()
    assert done == ["the rest"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)  # as before
    with ThreadPoolExecutor(1) as other, held():
        other.submit(lambda: held().__enter__()).result()  # signals are none of its business
