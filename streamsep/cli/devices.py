"""`streamsep devices`: what sound can come from and go to."""

from dataclasses import asdict

from rich.table import Table

from streamsep.cli.console import print_json, results
from streamsep.cli.options import Api, AsJson
from streamsep.errors import DeviceError


def devices(api: Api = None, as_json: AsJson = False) -> None:
    """List the sound devices; [bold]>[/] marks the default input, [bold]<[/] the default output.

    A device can be named by a part of its name, which stays the same when it is plugged in elsewhere; its number does
    not. Latencies are those that PortAudio hopes for with small blocks; [bold]streamsep latency[/] measures them.

    Example: [bold]streamsep devices --api jack[/]
    """
    from streamsep.audio import devices as audio

    found = audio.of_api(audio.devices(), api)
    if as_json:
        print_json([asdict(device) for device in found])
        return
    if not found:
        raise DeviceError(f"there is no sound device: {audio.NOTHING}")
    table = Table()
    for heading in ("", "number", "name", "host API", "rate", "inputs", "latency", "outputs", "latency"):
        table.add_column(heading, justify="left" if heading in ("", "name", "host API") else "right")
    for device in found:
        marks = (">" if device.default_input else " ") + ("<" if device.default_output else " ")
        row = (device.index, device.name, device.api, f"{device.rate} Hz")
        sides = ((device.inputs, device.input_ms), (device.outputs, device.output_ms))
        counts = [
            cell for channels, ms in sides for cell in (str(channels or ""), f"{ms:.1f} ms" if channels else "")
        ]
        table.add_row(marks, *map(str, row), *counts)
    results.print(table)
