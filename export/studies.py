"""The papers' comparisons of networks, each trained for the same small budget: python -m export.studies --data DIR
--out runs/studies --start CHECKPOINT --json streamsep/report/trained.json.

- offline: two layers of 300 that run both ways, 20 sigmoid dimensions, 32 ms windows (Liu, Seetharaman & Pardo 2019),
  for three domains, and what choosing among them by confidence is worth; beside it the same network made causal, and
  then heard through the 8 ms windows of the shipped models: the prices of causality and of 8 ms.
- targets: the same network with a mask head instead, whose targets come in the order that fits best, or strongest
  first: the baselines that fail in Hershey et al. (2016).
- embeddings: 5, 10, 20 and 40 dimensions, tanh and sigmoid: heads on the trunk of a trained talkers' network
  (--start), which stays as it is.

Trained on `train`, measured on `test` after the last step; nothing is chosen in between. What has been done is not
done again, a training that was stopped goes on from its checkpoint, and the figures are written after every network.
"""

import argparse
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from export.corpus import RATE
from export.frontend import FrontEnd
from export.losses import deep_clustering
from export.mixtures import RECIPES, Mixer
from export.networks import ACTIVATIONS, Chimera, Shape
from export.recipe import Recipe
from export.start import read_start
from export.train import Objective, bf16_helps, measure_features, save
from streamsep.errors import StreamsepError
from streamsep.evaluation.clustering import global_masks, loud, oracle_masks, some_of
from streamsep.evaluation.intervals import clustered_mean
from streamsep.evaluation.lists import Mixture, mixtures
from streamsep.evaluation.references import analyse, ideal_binary, seed_of, synthesise
from streamsep.monitor.confidence import loudest, measure
from streamsep.realtime import stft
from streamsep.report.clips import with_groups
from streamsep.report.figures import figures_db
from streamsep.report.runner import write_whole

DOMAINS = ("speech", "music", "environment")
ALIKE = "environment"  # whose sources are of one kind, and are told apart soonest
DIMS = (5, 10, 20, 40)
TARGETS = ("clustering", "permuted", "strongest")
CHECKPOINT_EVERY = 20  # steps
WARM_UP = 20  # steps
LOUDEST = 0.01  # share of the bins that the confidence is taken of, as in the paper
ENSEMBLE = ("sd_sdr_db", "sdri_db")  # the papers' figure, and one that does not mind how soft the masks are
POINTS = 3_000  # that k-means sees of a file

# The paper's network: 32 ms windows every 8 ms.
OFFLINE = Recipe(
    recipe="speech", trunk="lstm", groups=1, hidden=300, layers=2, dims=20, window=512, synthesis=512, hop=128,
    seed=1, steps=200, batch=32, seconds=1.0, learning_rate=1.5e-3, embedding_loss="classic",
    embedding_weight=0.0, embedding_every=4, mask_weight=1.0, validate_every=200, patience=1,
)  # fmt: skip
LIVE = replace(OFFLINE, synthesis=128, hop=64, embedding_every=8)
# A head on a trained talkers' trunk: less to learn.
STARTED = replace(
    LIVE, trunk="bands", groups=16, hidden=64, layers=3, steps=60, batch=16, learning_rate=3e-3, validate_every=60
)


@dataclass(frozen=True)
class Variant:
    """One network to be trained. Of the recipe, validate_every and patience do not matter."""

    name: str
    study: str
    recipe: Recipe
    target: str = "clustering"  # of TARGETS; the others are of a mask head
    activation: str = "sigmoid"
    both_ways: bool = False
    started: bool = False  # with the weights of --start, and only the embedding head learns
    domains: tuple[str, ...] = ("speech",)  # whose test mixtures it is measured on


def variants() -> list[Variant]:
    """All of them, what matters most first."""
    found = [
        Variant(f"offline-{domain}", "offline", replace(OFFLINE, recipe=domain), both_ways=True, domains=DOMAINS)
        for domain in DOMAINS
    ]
    base, domains = replace(OFFLINE, recipe=ALIKE), (ALIKE,)
    found += [
        Variant(f"{name}-{dims}", "embeddings", replace(STARTED, dims=dims), activation=name, started=True)
        for name in ACTIVATIONS
        for dims in DIMS
    ]
    found += [
        Variant(f"{study}-{ALIKE}", study, replace(recipe, recipe=ALIKE), domains=domains)
        for study, recipe in (("causal", OFFLINE), ("live", LIVE))
    ]
    found += [
        Variant(f"target-{name}", "targets", base, name, both_ways=True, domains=domains) for name in TARGETS[1:]
    ]
    return found


class Studied(Chimera):
    """A chimera network whose embeddings have either activation, and whose layers may run both ways."""

    def __init__(self, shape: Shape, activation: str, both_ways: bool) -> None:
        super().__init__(replace(shape, activation=activation))
        self.both_ways = both_ways
        if both_ways:
            self.trunk = nn.LSTM(shape.bins, shape.hidden, shape.layers, batch_first=True, bidirectional=True)
            self.mask_head = nn.Linear(2 * shape.hidden, shape.sources * shape.bins)
            self.embedding_head = nn.Linear(2 * shape.hidden, shape.bins * shape.dims)
            for name, bias in self.trunk.named_parameters():
                if name.startswith("bias_ih"):  # forget gates start open, as in the others
                    nn.init.constant_(bias[shape.hidden : 2 * shape.hidden], 1.0)

    def forward(self, spectrum: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """As the chimera's; layers that run both ways have no state."""
        if not self.both_ways:
            return super().forward(spectrum, state)
        return self.trunk(self.features(spectrum, state["level"])[0])[0], state


class Clustering(nn.Module):
    """Deep clustering's loss by itself; the objective of export.train always has masks to please as well."""

    def __init__(self, recipe: Recipe, net: Chimera, front: FrontEnd, bf16: bool) -> None:
        super().__init__()
        self.every, self.net, self.front, self.bf16 = recipe.embedding_every, net, front, bf16

    def forward(self, sources: Tensor, step: int) -> Tensor:
        """(batch, sources, samples) -> the loss, of one frame in `embedding_every`."""
        spectra = self.front.analyse(sources)
        mixed = spectra.sum(1)
        some = slice(step % self.every, None, self.every)
        with torch.autocast(sources.device.type, torch.bfloat16, enabled=self.bf16):
            trunk, _ = self.net(torch.view_as_real(mixed), self.net.start(len(sources)))
            embeddings = self.net.embeddings(trunk[:, some])
        owners = nn.functional.one_hot(spectra[:, :, some].abs().argmax(1), sources.shape[1]).float()
        return deep_clustering(embeddings.flatten(1, 2), owners.flatten(1, 2), mixed[:, some].abs().flatten(1))


def loss_of(variant: Variant, net: Chimera) -> Callable[[Tensor, int], Tensor]:
    """(batch, sources, samples), step -> what is minimised."""
    recipe, bf16 = variant.recipe, bf16_helps(torch.device("cpu"))
    front = FrontEnd(recipe.window, recipe.synthesis, recipe.hop)
    if variant.target == "clustering":
        return Clustering(recipe, net, front, bf16)
    objective = Objective(recipe, net, front, variant.target == "permuted", bf16)
    return lambda sources, step: objective(sources, step)[0]


def strongest_first(sources: Tensor) -> Tensor:
    """(batch, sources, samples) -> every example's sources by their energy."""
    order = sources.square().sum(-1).argsort(-1, descending=True)
    return sources.gather(1, order[..., None].expand(sources.shape))


def learning_rate(recipe: Recipe, step: int) -> float:
    """Of a short training: a short warm-up, then half a cosine."""
    return recipe.learning_rate * min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))


def trained(variant: Variant, mixer: Mixer, out: Path, start: dict[str, Tensor]) -> Studied:
    """The network after its last step, going on from its checkpoint in `out` if there is one.

    start: weights for what is started. Raises ValueError when the checkpoint is of another variant."""
    recipe, path = variant.recipe, out / f"{variant.name}.pt"
    torch.manual_seed(recipe.seed)
    net, samples = Studied(recipe.shape(), variant.activation, variant.both_ways), int(recipe.seconds * RATE)
    learning = net.embedding_head if variant.started else net
    net.requires_grad_(False)
    learning.requires_grad_(True)
    optimizer = torch.optim.Adam(learning.parameters(), recipe.learning_rate)
    first, facts = 0, json.dumps(asdict(variant))
    if path.is_file():
        content = torch.load(path, weights_only=True)
        if content["variant"] != facts:
            raise ValueError(f"{path}: belongs to another budget or network; choose another --out")
        net.load_state_dict(content["net"])
        optimizer.load_state_dict(content["optimizer"])
        first = content["step"]
    elif variant.started:
        net.load_state_dict({k: v for k, v in start.items() if not k.startswith("embedding_head")}, strict=False)
    else:
        front = FrontEnd(recipe.window, recipe.synthesis, recipe.hop)
        measure_features(net, front, torch.tensor(mixer.batch(recipe.seed, 0, range(64), samples)))
    loss_function, losses = loss_of(variant, net), []
    for done in range(first + 1, recipe.steps + 1):
        sources = torch.tensor(mixer.batch(recipe.seed, done, range(recipe.batch), samples))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(recipe, done - 1)
        loss = loss_function(strongest_first(sources) if variant.target == "strongest" else sources, done - 1)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        losses.append(loss.item())
        if done % CHECKPOINT_EVERY == 0 or done == recipe.steps:
            state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "step": done, "variant": facts}
            save(path, state)
            print(f"{variant.name}: {done} of {recipe.steps}, loss {np.mean(losses):.4f}", flush=True)
            losses.clear()
    return net.eval()


@torch.no_grad()
def measured(variant: Variant, net: Studied, mixture: Mixture) -> dict[str, Any]:
    """What it made of one mixture: means over the sources, which may come in any order."""
    recipe = variant.recipe
    front = stft.FrontEnd(RATE, recipe.window, recipe.synthesis, recipe.hop)
    spectra = analyse(front, mixture.sources)
    total = spectra.sum(axis=0)
    trunk, _ = net(torch.view_as_real(torch.tensor(total[None], dtype=torch.complex64)), net.start(1))
    row: dict[str, Any] = {"mixture": mixture.name, "domain": mixture.domain, "clips": mixture.clips}
    if variant.target != "clustering":
        masks = {"masks": net.masks(trunk)[0].numpy()}
    else:
        embeddings, loudness = net.embeddings(trunk)[0].numpy(), np.abs(total)
        owners, seed = np.moveaxis(ideal_binary(spectra), 0, -1), seed_of(mixture)
        masks = {
            "oracle": oracle_masks(embeddings, owners, loud(loudness)),
            "global": global_masks(embeddings, some_of(loud(loudness), POINTS, seed), len(spectra), seed),
        }
        chosen = loudest(loudness.ravel(), round(LOUDEST * loudness.size))
        points = embeddings.reshape(-1, recipe.dims)[chosen]
        found = measure(points, len(spectra), chosen=("silhouette", "posterior_strength"))
        row["confidence"] = found.confidence if found else -1.0
    for name, of in masks.items():
        heard = synthesise(front, of.swapaxes(0, 1) * total, mixture.sources.shape[-1])
        row[name] = figures_db(heard, mixture.sources, [""] * len(heard))
    return row


def summary(variant: Variant, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Facts and figures of one network, as in the --json file."""
    recipe = variant.recipe
    net = Studied(recipe.shape(), variant.activation, variant.both_ways)
    unused = net.mask_head if variant.target == "clustering" else net.embedding_head
    facts = {
        "name": variant.name, "study": variant.study, "domain": recipe.recipe, "target": variant.target,
        "activation": variant.activation, "dims": recipe.dims, "both_ways": variant.both_ways,
        "started": variant.started, "parameters": count(net) - count(unused),
        "window_ms": 1000 * recipe.window / RATE, "synthesis_ms": 1000 * recipe.synthesis / RATE,
        "hop_ms": 1000 * recipe.hop / RATE, "steps": recipe.steps, "examples": recipe.steps * recipe.batch,
        "minutes": recipe.steps * recipe.batch * recipe.seconds / 60,
        "mixtures": len(rows) // len(variant.domains),
    }  # fmt: skip
    ways = [key for key in ("oracle", "global", "masks") if key in rows[0]]
    found = {}
    for domain in variant.domains:
        of = [row for row in rows if row["domain"] == domain]
        for way in ways:
            for figure in of[0][way]:
                interval = clustered_mean([row[way][figure] for row in of], [row["groups"] for row in of])
                found[f"{domain}.{way}.{figure}"] = asdict(interval)
    return facts | {"figures": found}


def count(module: nn.Module) -> int:
    """Its parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def ensemble(rows: dict[str, list[dict[str, Any]]], figure: str) -> dict[str, dict[str, Any]]:
    """Domain -> every model, and the picks of the oracle, of chance (its expectation) and of the raw confidence.

    rows: by the model's domain, of the same mixtures in the same order."""
    table = {}
    for domain in DOMAINS:
        of = {model: [row for row in found if row["domain"] == domain] for model, found in rows.items()}
        values = np.array([[row["global"][figure] for row in found] for found in of.values()])  # (models, mixtures)
        confident = np.array([[row["confidence"] for row in found] for found in of.values()])
        picks = dict(zip((f"{model} model" for model in of), values, strict=True))
        picks |= {"oracle": values.max(0), "random": values.mean(0)}
        picks["confidence"] = np.take_along_axis(values, confident.argmax(0)[None], 0)[0]
        groups = [row["groups"] for row in next(iter(of.values()))]
        table[domain] = {pick: asdict(clustered_mean(found.tolist(), groups)) for pick, found in picks.items()}
    return table


def price(rows: list[dict[str, Any]], offline: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By way: what the offline network has more of SDR improvement in dB, mixture by mixture; rows: of another."""
    same = {row["mixture"]: row for row in offline}
    return {
        way: asdict(
            clustered_mean(
                [same[row["mixture"]][way]["sdri_db"] - row[way]["sdri_db"] for row in rows],
                [row["groups"] for row in rows],
            )
        )
        for way in ("oracle", "global")
    }


def write(path: Path, out: Path, data: Path) -> None:
    """The figures of all that is done so far; data: the folder that they were measured on."""
    every = variants()
    done = {one.name: rows for one in every if (rows := rows_of(out / f"{one.name}.json", data)) is not None}
    content: dict[str, Any] = {"networks": [summary(one, done[one.name]) for one in every if one.name in done]}
    if all(f"offline-{domain}" in done for domain in DOMAINS):
        rows = {domain: done[f"offline-{domain}"] for domain in DOMAINS}
        content["ensemble"] = {figure: ensemble(rows, figure) for figure in ENSEMBLE}
    others = [f"{study}-{ALIKE}" for study in ("causal", "live") if f"{study}-{ALIKE}" in done]
    content["prices"] = {name: price(done[name], done[f"offline-{ALIKE}"]) for name in others}
    write_whole(path, json.dumps(rounded(content), indent=1) + "\n")


def rows_of(path: Path, data: Path) -> list[dict[str, Any]] | None:
    """What was measured of a network before, with what its clips are pieces of; None: nothing."""
    return with_groups(data, json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def rounded(content: Any) -> Any:
    """To thousandths: the rest is of the machine."""
    if isinstance(content, dict):
        return {key: rounded(value) for key, value in content.items()}
    if isinstance(content, list):
        return [rounded(value) for value in content]
    return round(content, 3) if isinstance(content, float) else content


def run(todo: Iterable[Variant], data: Path, out: Path, start: dict[str, Tensor], limit: int) -> Iterable[Variant]:
    """Train and measure what is not done yet; each network as soon as its figures are there."""
    out.mkdir(parents=True, exist_ok=True)
    mixers: dict[str, Mixer] = {}
    for variant in todo:
        path, domain = out / f"{variant.name}.json", variant.recipe.recipe
        if not path.is_file():
            if domain not in mixers:
                mixers[domain] = RECIPES[domain](data, "train", Path("runs/cache"))
            net = trained(variant, mixers[domain], out, start)
            listed = [one for name in variant.domains for one in islice(mixtures(data, "test", name), limit)]
            write_whole(path, json.dumps([measured(variant, net, mixture) for mixture in listed]))
        yield variant


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv, mixtures.csv and clips")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and the figures of mixtures")
    parser.add_argument("--start", type=Path, required=True, help="a checkpoint of configs/train/speech.yaml")
    parser.add_argument("--limit", type=int, default=30, help="test mixtures of every domain")
    parser.add_argument("--json", type=Path, required=True, help="the figures; the report shows them")
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        start = read_start(options.start).weights
        for variant in run(variants(), options.data, options.out, start, options.limit):
            write(options.json, options.out, options.data)
            print(f"{variant.name}: measured", flush=True)
    except (StreamsepError, ValueError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
