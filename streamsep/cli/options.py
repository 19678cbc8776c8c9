"""The options that several commands share, and the settings they add up to."""

from typing import Annotated

import typer

from streamsep.config import Settings, load_settings, parse_overrides

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
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for a program to read.")]


def chosen(config: str, domain: str | None, changes: list[str] | None) -> Settings:
    """The settings of a command line: the configuration, then `--set`, then `--domain`. Raises ConfigError."""
    return load_settings(config, parse_overrides(changes or []) | ({} if domain is None else {"domain": domain}))
