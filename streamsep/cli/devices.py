"""`streamsep devices`: what sound can come from and go to."""

from dataclasses import asdict

from rich.table import Table

from streamsep.cli.console import print_json, results
from streamsep.cli.options import AsJson
from streamsep.errors import DeviceError


def devices(as_json: AsJson = False) -> None:
    """List the sound devices; [bold]>[/] marks the default input, [bold]<[/] the default output.

    Example: [bold]streamsep devices[/]
    """
    from streamsep.audio import devices as audio

    found = audio.devices()
    if as_json:
        print_json([asdict(device) for device in found])
        return
    if not found:
        raise DeviceError(f"there is no sound device: {audio.NOTHING}")
    table = Table()
    for heading in ("", "device", "name", "host API", "inputs", "outputs", "default rate"):
        table.add_column(heading, justify="left" if heading in ("", "name", "host API") else "right")
    for device in found:
        marks = (">" if device.default_input else " ") + ("<" if device.default_output else " ")
        row = (device.index, device.name, device.api, device.inputs, device.outputs, f"{device.rate} Hz")
        table.add_row(marks, *map(str, row))
    results.print(table)
