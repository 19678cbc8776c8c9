"""A checkpoint to shipped files: python -m export.release runs/noise/best.pt --data DIR --out streamsep/models/zoo.

Writes DOMAIN-{step,look-back}-{fp32,int8}.onnx, the card DOMAIN.md and SHA256SUMS. Nothing is replaced before all of
it is written elsewhere, the float32 graphs have been found equal to the training network, and those of 8 bits nearly
as good. Each file is replaced whole; SHA256SUMS comes last, so after an interruption it tells which files are not of
its release. `export.figures` puts in the figures, once they are measured.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import torch

from export.card import ABOUT, Checks, File, card, notes
from export.centres import warm_starts
from export.corpus import RATE
from export.frontend import FrontEnd
from export.licences import weights_licence
from export.mixtures import RECIPES, corpora_in
from export.networks import Chimera
from export.parity import (
    Frames,
    analyse,
    at_once,
    check,
    check_8_bits,
    errors,
    frame_by_frame,
    prices_db,
    snr_db,
    speech_like,
    times_per_hop_ms,
)
from export.replaced import replaced
from export.stages import corpora_of, describe_stage, stages_of_release
from export.temperature import best_temperature, scale_logits
from export.to_onnx import (
    KINDS,
    count_nodes,
    count_parameters,
    export_graph,
    load_checkpoint,
    made_with,
    quantise,
    save,
)
from streamsep.bench.machine import cpu_model
from streamsep.errors import StreamsepError
from streamsep.evaluation.lists import mixtures
from streamsep.models.loader import Batch
from streamsep.models.manifest import FORMAT, Corpus, Manifest, Training

UNRECORDED = Corpus(corpus="what nobody recorded", minutes=0, licence="unknown")  # before the oldest known stage
SECONDS = 4.0  # of sound that parity is checked with


def training_data(recipes: Iterable[str], data: Path, cache: Path) -> tuple[Corpus, ...]:
    """Minutes by corpus and licence of all that the recipes may draw from."""
    return corpora_in([RECIPES[recipe](data, "train", cache) for recipe in dict.fromkeys(recipes)])


def describe(
    checkpoint: Path, data: Path, version: str, cache: Path, after: Sequence[Path]
) -> tuple[Manifest, Chimera]:
    """What all graphs of the model share, as the manifest of its float32 step graph, and the network."""
    recipe, net, steps = load_checkpoint(checkpoint)
    if recipe.recipe not in ABOUT:
        raise ValueError(f"{checkpoint}: export/card.py says nothing of {recipe.recipe!r}, only of {sorted(ABOUT)}")
    stages = stages_of_release(checkpoint, after)
    corpora = corpora_of(stages, lambda recipes: training_data(recipes, data, cache))
    training = Training(
        data=corpora,
        recipe=json.dumps(asdict(recipe)),
        seed=recipe.seed,
        steps=steps,
        before=map(json.dumps, stages[:-1]),
    )
    manifest = Manifest(
        format=FORMAT,
        domain=recipe.recipe,
        version=version,
        graph="step",
        precision="fp32",
        sample_rate=RATE,
        window=recipe.window,
        synthesis_window=recipe.synthesis,
        hop=recipe.hop,
        sources=ABOUT[recipe.recipe].sources,
        symmetric=RECIPES[recipe.recipe].symmetric,
        embedding_dims=recipe.dims,
        states=net.shape.state_shapes(),
        training=training,
        licence=weights_licence([*corpora, *([UNRECORDED] if None in stages else [])]),
        notes=notes(recipe.recipe, corpora),
    )
    return manifest, net


def temper(net: Chimera, front: FrontEnd, data: Path, domain: str) -> str:
    """Scale the mask logits as suits the validation list best, and say so in a sentence; without one, leave them."""
    if not (data / "mixtures.csv").is_file():
        return "The mask logits are as they were trained: there was no validation list to find a temperature on."
    lists = (torch.from_numpy(mixture.sources) for mixture in mixtures(data, "val", domain))
    found = best_temperature(net, front, lists, RECIPES[domain].symmetric)
    scale_logits(net, found.factor)
    return str(found)


def with_centres(net: Chimera, manifest: Manifest, data: Path, cache: Path, folder: Path) -> Manifest:
    """The manifest with the centres where clustering live begins, found on training mixtures."""
    path = folder / "centres.onnx"
    save(export_graph(net, "look-back"), manifest.model_copy(update={"graph": "look-back"}), path)
    centres = warm_starts(Batch(path), RECIPES[manifest.domain](data, "train", cache))
    path.unlink()
    return manifest.model_copy(update={"centres": centres})


def write_graphs(net: Chimera, manifest: Manifest, folder: Path) -> dict[str, Path]:
    """The four graphs with their manifests; paths by "step-fp32" and so on."""
    graphs = {kind: export_graph(net, kind) for kind in KINDS}
    shared = manifest.model_copy(update={"parameters": count_parameters(graphs["step"])})
    paths = {}
    for kind, exact in graphs.items():
        for precision, graph in (("fp32", exact), ("int8", quantise(exact))):
            path = folder / f"{manifest.domain}-{kind}-{precision}.onnx"
            save(graph, shared.model_copy(update={"graph": kind, "precision": precision}), path)
            paths[f"{kind}-{precision}"] = path
            size_mb = path.stat().st_size / 1e6
            print(f"{path.name}: {count_nodes(graph)} operators, {size_mb:.2f} MB, {made_with(graph)}")
    return paths


def price_of_8_bits(graphs: dict[str, Batch], front: FrontEnd, frames: Frames, data: Path, domain: str) -> str:
    """A sentence: the signal-to-noise ratio of what comes out, and the SI-SDR it costs on the validation list.

    Raises ValueError when either is worse than a release may be.
    """
    ratios = {}
    for kind, name in KINDS.items():
        cheap, exact = frame_by_frame(graphs[f"{kind}-int8"], frames)[0], at_once(graphs[f"{kind}-fp32"], frames)[0]
        ratios[name] = snr_db(cheap, exact)
    prices = []
    if (data / "mixtures.csv").is_file():
        prices = prices_db(front, graphs["step-fp32"], graphs["step-int8"], mixtures(data, "val", domain))
    check_8_bits(ratios, prices)
    said = ", ".join(f"{name} {ratio:.1f} dB" for name, ratio in ratios.items())
    if not prices:
        return f"signal-to-noise ratio {said}; the price in SI-SDR was not measured."
    return (
        f"signal-to-noise ratio {said}; price in SI-SDR, mean of both slots over the {len(prices)} "
        f"validation mixtures: {np.mean(prices):.3f} dB, at most {np.max(prices):.3f} dB."
    )


def release(
    checkpoint: Path,
    data: Path,
    out: Path,
    version: str,
    cache: Path = Path("runs/cache"),
    after: Sequence[Path] = (),
) -> None:
    """Export, check, describe, and only then replace what is in `out`. Raises ValueError when a check fails.

    after: recipes that the weights went through before, where the checkpoint does not know them.
    """
    manifest, net = describe(checkpoint, data, version, cache, after)
    for stage in manifest.training.before:
        print(f"before its own run: {describe_stage(json.loads(stage))}")
    front = FrontEnd(manifest.window, manifest.synthesis_window, manifest.hop)
    frames = analyse(front, speech_like(np.random.default_rng(0), SECONDS))
    temperature = temper(net, front, data, manifest.domain)
    print(temperature)
    with replaced(out, manifest.domain) as part:
        paths = write_graphs(net, with_centres(net, manifest, data, cache, part), part)
        graphs = {name: Batch(path) for name, path in paths.items()}
        found = errors(net, frames, graphs["step-fp32"], graphs["look-back-fp32"])
        for way, error in found.items():
            print(f"{way}: {error:.1e} of the peak")
        check(found)
        files = [
            File(path.name, path.stat().st_size, graphs[name].manifest, median_ms)
            for (name, path), median_ms in zip(paths.items(), times_per_hop_ms(list(paths.values())), strict=True)
        ]
        for file in files:
            print(f"{file.name}: a median hop takes {file.hop_ms:.3f} ms here")
        price = price_of_8_bits(graphs, front, frames, data, manifest.domain)
        print(f"8 bits: {price}")
        made = onnx.load(paths["step-int8"]).doc_string  # needs what all need
        checks = Checks(found, price, temperature, made, cpu_model())
        (part / f"{manifest.domain}.md").write_text(card(files, checks), encoding="utf-8")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="the folder it was trained on, before too")
    parser.add_argument("--out", type=Path, required=True, help="folder of models, streamsep/models/zoo")
    parser.add_argument("--version", default="1.0", help="of the model")
    parser.add_argument(
        "--after",
        type=Path,
        nargs="*",
        default=[],
        metavar="RECIPE.yaml",
        help="what its weights went through before, oldest first; for checkpoints that do not know it themselves",
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        release(options.checkpoint, options.data, options.out, options.version, after=options.after)
    except (StreamsepError, ValueError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
