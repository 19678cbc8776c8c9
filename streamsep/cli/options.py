"""The options that several commands share, and the settings they add up to."""

from typing import Annotated

import typer

from streamsep.config import Settings, load_settings, parse_overrides
from streamsep.realtime.resample import HIGHEST_HZ, LOWEST_HZ

Config = Annotated[str, typer.Option("--config", metavar="NAME|FILE", help="A named configuration, or a YAML file.")]
Domain = Annotated[
    str | None,
    typer.Option(
        "--domain",
        metavar="NAME",
        help="Kind of mixture, see `streamsep models`; auto: by confidence.",
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, as in gains_db.noise=-30; may be repeated."),
]
DEVICE = "NAME|NUMBER"
LONGEST_BLOCK = 8192  # samples
MOST_CHANNELS = 256
Api = Annotated[
    str | None,
    typer.Option(
        "--api", metavar="NAME", help="Host API of the devices: a part of its name; see `streamsep devices`."
    ),
]
Source = Annotated[
    str | None, typer.Option("--input", metavar=DEVICE, help="What to listen to: a part of its name, or its number.")
]
Sink = Annotated[
    str | None, typer.Option("--output", metavar=DEVICE, help="What to play on: a part of its name, or its number.")
]
Channels = Annotated[
    int | None, typer.Option(min=1, max=MOST_CHANNELS, help="Of both devices; by default at most 2.")
]
Block = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=LONGEST_BLOCK,
        help="Samples a callback; 0: as the device likes, which is best on JACK and PipeWire.",
        show_default="the configuration's",
    ),
]
Rate = Annotated[int | None, typer.Option(min=LOWEST_HZ, max=HIGHEST_HZ, help="Hz; by default the output device's.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for a program to read.")]


def samples_a_block(asked: int | None, settings: Settings) -> int | None:
    """What to ask the device for: 0, as it likes; None, the shortest that it takes."""
    return None if asked is None and settings.live.smallest_block else asked or 0


def chosen(config: str, domain: str | None, changes: list[str] | None) -> Settings:
    """The settings of a command line: the configuration, then `--set`, then `--domain`. Raises ConfigError."""
    return load_settings(config, parse_overrides(changes or []) | ({} if domain is None else {"domain": domain}))
