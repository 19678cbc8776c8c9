"""New figures for released models: python -m export.figures BANK --metrics FILE.json.

Puts what `streamsep quality --json` wrote into the manifests and the card of the models it is of; the weights stay as
they are, and no checkpoint is needed. Figures that were not measured again stay too. All files of a model are written
beside, then each is replaced whole; SHA256SUMS comes last.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

from export.card import figures
from export.replaced import replaced, with_manifest
from streamsep.errors import StreamsepError
from streamsep.models.loader import read_manifest

# A card's section of figures: a sentence, or what the names mean and a table; then something else.
SECTION = re.compile(r"(?<=^## Figures\n\n).*?(?=\n\n8 bits: )", re.MULTILINE | re.DOTALL)


def read_metrics(paths: list[Path], domain: str) -> dict[str, Any]:
    """The figures of this domain in files of `streamsep quality --json`, in the files' order.

    Raises ValueError naming the file and the key when a value is neither a number nor a mean with its interval.
    """
    found: dict[str, Any] = {}
    for path in paths:
        for key, value in json.loads(path.read_text()).items():
            interval = isinstance(value, dict) and value.keys() >= {"mean", "low", "high", "n"}
            if not interval and not isinstance(value, int | float):
                raise ValueError(f"{path}: {key}: expected a number or mean, low, high and n, got {value!r}")
            if re.match(rf"{domain}(-\d+)?\.", key):  # speech-3.…: of three sources
                found[key] = value
    return found


def refigure(bank: Path, domain: str, metrics: dict[str, Any]) -> None:
    """Put figures into all files of a model in a bank, beside those it has. Raises ModelError for a graph whose
    manifest is not valid, and ValueError naming the card when it is none that export.release wrote."""
    card = bank / f"{domain}.md"
    with replaced(bank, "figures") as part:
        together = metrics
        for path in sorted(bank.glob(f"{domain}-*.onnx")):
            together = dict(read_manifest(path).metrics) | metrics
            (part / path.name).write_bytes(with_manifest(path, metrics=together))
        text, found = SECTION.subn(lambda _: figures(together), card.read_text(encoding="utf-8"))
        if found != 1:
            raise ValueError(f"{card}: expected a card that export.release wrote, with a section of figures")
        (part / card.name).write_text(text, encoding="utf-8")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bank", type=Path, help="folder of released models")
    parser.add_argument("--metrics", type=Path, nargs="+", required=True, help="files of `streamsep quality --json`")
    options = parser.parse_args()
    try:
        domains = sorted(path.stem for path in options.bank.glob("*.md"))
        measured = {domain: read_metrics(options.metrics, domain) for domain in domains}
        if not any(measured.values()):
            raise ValueError(f"--metrics: nothing in these files is of a model in {options.bank}: {domains}")
        for domain, metrics in measured.items():
            if metrics:
                refigure(options.bank, domain, metrics)
                print(f"{domain}: {len(metrics)} figures")
    except (StreamsepError, ValueError, OSError, json.JSONDecodeError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
