"""`streamsep devices`: what sound can come from and go to."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import JustifyMethod
from rich.table import Table

from streamsep.cli.console import print_json, results
from streamsep.cli.options import Api, AsJson
from streamsep.errors import DeviceError

if TYPE_CHECKING:
    from streamsep.audio.devices import Device


def devices(api: Api = None, as_json: AsJson = False) -> None:
    """List the sound devices; [bold]>[/] marks the default input, [bold]<[/] the default output.

    A device can be named by a part of its name, which stays the same when it is plugged in elsewhere; its number does
    not. Beside the channels stand latencies that PortAudio hopes for with small blocks; [bold]streamsep latency[/]
    measures them.

    Example: [bold]streamsep devices --api jack[/]
    """
    from streamsep.audio import devices as audio

    found = audio.of_api(audio.devices(), api)
    if as_json:
        print_json([asdict(device) for device in found])
        return
    if not found:
        raise DeviceError(f"there is no sound device: {audio.NOTHING}")
    for name in dict.fromkeys(device.api for device in found):
        results.print(_table(name, [device for device in found if device.api == name]))


def _table(api: str, devices: "Sequence[Device]") -> Table:
    """The devices of one host API. However narrow the terminal is, all of their names is there."""
    table = Table(title=api, title_justify="left")
    for heading in ("", "number", "name", "rate", "inputs", "outputs"):
        justify: JustifyMethod = "left" if heading in ("", "name") else "right"
        table.add_column(heading, justify=justify, overflow="fold", no_wrap=heading != "name")
    for device in devices:
        marks = (">" if device.default_input else " ") + ("<" if device.default_output else " ")
        sides = ((device.inputs, device.input_ms), (device.outputs, device.output_ms))
        ways = [f"{channels}, {ms:.1f} ms" if channels else "" for channels, ms in sides]
        table.add_row(marks, str(device.index), device.name, f"{device.rate} Hz", *ways)
    return table
