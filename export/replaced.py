"""Files of a folder of models, replaced: all are written beside before the first one is, and the checksums last."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx

from export.card import CHECKSUMS, checksums
from streamsep.models.manifest import METADATA_KEY, parse_manifest


@contextmanager
def replaced(bank: Path, name: str) -> Iterator[Path]:
    """A folder to write into. In the end each file there takes the place of that in the bank, whole, and SHA256SUMS
    is made right: after an interruption it tells which files do not belong together. After an error nothing has
    changed.

    name: of who writes; what a run of the same name left when it was killed goes."""
    part = bank / f".{name}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        for path in sorted(part.iterdir()):
            path.replace(bank / path.name)
        (part / CHECKSUMS).write_text(checksums(bank), encoding="utf-8")
        (part / CHECKSUMS).replace(bank / CHECKSUMS)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def with_manifest(path: Path, **changes: Any) -> bytes:
    """The content of a model file with some keys of its manifest changed.

    Raises ModelError for a graph whose manifest is not valid."""
    model = onnx.load(path)
    said = next((entry for entry in model.metadata_props if entry.key == METADATA_KEY), None)
    manifest = parse_manifest(said.value if said else "", str(path)).model_copy(update=changes)
    assert said is not None  # or there would have been no manifest
    said.value = manifest.model_dump_json()
    content: bytes = model.SerializeToString(deterministic=True)
    return content
