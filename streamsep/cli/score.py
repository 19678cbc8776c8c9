"""`streamsep score FILE`: how confident every domain's model is of a recording."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from streamsep.cli.console import print_json, results
from streamsep.cli.options import AsJson, Changes, Config, chosen, leave_alone, read_sound


def score(
    sound: Annotated[
        Path, typer.Argument(metavar="FILE", help="A sound file: WAV, FLAC, Ogg, MP3, AIFF; 8 to 192 kHz.")
    ],
    config: Config = "default",
    changes: Changes = None,
    as_json: AsJson = False,
) -> None:
    """Ask every domain's model how well it fits a recording, without knowing its sources.

    Confidence is silhouette times posterior strength of the clustered embeddings, -1 to 1; what a model promises is
    the SI-SDR improvement that its calibration makes of its measures. Both are means over all looks of the monitor.

    Example: [bold]streamsep score evening.wav --json[/]
    """
    from streamsep.recording import score as score_samples

    leave_alone(changes, {"domain": "every domain's model is asked; leave it out"})
    samples, rate = read_sound(sound)
    found = score_samples(samples, rate, chosen(config, None, changes).model_dump())
    if as_json:
        print_json({"input": str(sound), **asdict(found)})
        return
    table = Table(title=str(sound), title_justify="left")
    table.add_column("domain")
    for heading in ("confidence", "promises dB"):
        table.add_column(heading, justify="right")
    for domain, confidence in found.confidence.items():
        estimate_db = found.estimate_db[domain]
        table.add_row(
            f"{domain} <" if domain == found.best else domain,
            "" if confidence is None else f"{confidence:.3f}",
            "" if estimate_db is None else f"{estimate_db:+.1f}",
        )
    results.print(table)
    if found.best is not None:
        results.print("< promises most; confidences of different models do not compare")
    looks = len(found.decisions)
    results.print(f"{found.looks} of {looks} looks had something to judge" if looks else "too short for a look")
