"""Train one domain's chimera network: python -m export.train configs/train/noise.yaml --data DIR --out runs/noise.

One flat loop. Batches are a function of (seed, step) and everything else is in the checkpoint, so a run that was
killed goes on where its last checkpoint was, by the same command.
"""

import argparse
import csv
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from export.frontend import FrontEnd
from export.losses import best_order, deep_clustering, error_ratios_db, phase_sensitive
from export.mixtures import RECIPES
from export.networks import Chimera, Shape
from streamsep.evaluation.lists import mixtures

RATE = 16_000


@dataclass(frozen=True)
class Recipe:
    """A training configuration; the keys are those of configs/train/*.yaml, where they are explained."""

    recipe: str
    hidden: int
    layers: int
    dims: int
    window: int
    synthesis: int
    hop: int
    seed: int
    steps: int
    batch: int
    seconds: float
    learning_rate: float
    embedding_weight: float
    embedding_every: int
    mask_weight: float
    validate_every: int

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        """Raises ValueError naming the file and the keys that are unknown or missing."""
        values = yaml.safe_load(path.read_text())
        known = {field.name for field in fields(cls)}
        if wrong := sorted(known.symmetric_difference(values)):
            raise ValueError(f"{path}: unknown or missing keys {wrong}; the keys are {sorted(known)}")
        return cls(**values)

    def shape(self) -> Shape:
        """The size of its network."""
        return Shape(self.window // 2 + 1, 2, self.hidden, self.layers, self.dims)


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all."""
    part = path.with_suffix(".part")
    torch.save(content, part)
    part.replace(path)


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up over 100 steps, then half a cosine down to a hundredth."""
    warm = min(1.0, (step + 1) / 100)
    return recipe.learning_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / recipe.steps)))


def loss_of(
    recipe: Recipe, net: Chimera, front: FrontEnd, sources: Tensor, offset: int, symmetric: bool
) -> tuple[Tensor, dict[str, float]]:
    """sources: (batch, sources, samples) -> the loss to minimise and its parts for the log.

    symmetric: the slots are of one kind, so each example's sources go to the slots where they fit best.
    """
    mixture = sources.sum(1)
    with torch.no_grad():
        spectra = front.analyse(sources)  # (batch, sources, frames, bins)
        mixed = spectra.sum(1)
        heard = front.synthesise(spectra)
    with torch.autocast(sources.device.type, torch.bfloat16):
        trunk, _ = net(torch.view_as_real(mixed), net.start(len(sources)))
        masks = net.masks(trunk)
        some = slice(offset % recipe.embedding_every, None, recipe.embedding_every)
        embeddings = net.embeddings(trunk[:, some])
    estimates = front.synthesise(masks[:, :, :-1].transpose(1, 2) * mixed[:, None])
    rest = heard.sum(1, keepdim=True) - estimates.sum(1, keepdim=True)  # masks add up to 1
    ratios = error_ratios_db(torch.cat([estimates, rest], 1), heard, mixture)
    order = best_order(ratios.detach()) if symmetric else torch.arange(sources.shape[1]).expand(len(sources), -1)
    order = order.to(sources.device)
    ratio = ratios.gather(2, order[:, :, None]).mean()
    spectra = spectra.gather(1, order[:, :, None, None].expand(spectra.shape))  # as the slots are
    owners = torch.nn.functional.one_hot(spectra[:, :, some].abs().argmax(1), sources.shape[1]).float()
    clustering = deep_clustering(embeddings.flatten(1, 2), owners.flatten(1, 2), mixed[:, some].abs().flatten(1))
    few = slice(offset % 4, None, 4)
    mask = phase_sensitive(masks[:, few], spectra[:, :, few].transpose(1, 2), mixed[:, few])
    loss = ratio / 10 + recipe.embedding_weight * clustering + recipe.mask_weight * mask
    return loss, {"ratio_db": ratio.item(), "clustering": clustering.item(), "mask": mask.item()}


@torch.no_grad()
def validate(net: Chimera, front: FrontEnd, lists: list[Tensor], symmetric: bool) -> float:
    """Mean SI-SDR improvement in dB over the validation list and all slots, symmetric ones in their best order."""
    improvements = []
    for sources in lists:
        mixed = front.analyse(sources.sum(0))[None]
        trunk, _ = net(torch.view_as_real(mixed), net.start(1))
        estimates = front.synthesise(net.masks(trunk)[0].transpose(0, 1) * mixed)
        figures = torch.tensor([[si_sdr_db(estimate, source) for source in sources] for estimate in estimates])
        order = best_order(-figures[None])[0] if symmetric else torch.arange(len(sources))
        before = torch.tensor([si_sdr_db(sources.sum(0), source) for source in sources])
        improvements.append(figures.gather(1, order[:, None]).mean() - before.mean())
    return float(torch.stack(improvements).mean())


def si_sdr_db(estimate: Tensor, source: Tensor) -> float:
    """Scale-invariant signal-to-distortion ratio (Le Roux et al. 2019); both (samples,)."""
    target = source * (estimate @ source) / (source @ source)
    return float(10 * torch.log10(target.square().sum() / (estimate - target).square().sum()))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with manifest.csv, mixtures.csv and the clips"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and the log")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop here, with a checkpoint")
    options = parser.parse_args()

    recipe = Recipe.read(options.recipe)
    torch.set_num_threads(options.threads)
    torch.manual_seed(recipe.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    cache = Path("runs/cache")
    mixer = RECIPES[recipe.recipe](options.data, "train", cache)
    front = FrontEnd(recipe.window, recipe.synthesis, recipe.hop).to(device)
    lists = [torch.tensor(mixture.sources, device=device) for mixture in mixtures(options.data, "val", recipe.recipe)]
    net = Chimera(recipe.shape()).to(device)
    average = torch.optim.swa_utils.AveragedModel(
        net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995), use_buffers=True
    )
    optimizer = torch.optim.Adam(net.parameters(), recipe.learning_rate)
    samples = int(recipe.seconds * RATE)
    options.out.mkdir(parents=True, exist_ok=True)
    newest, best, first = options.out / "last.pt", -math.inf, 0

    if newest.is_file():
        content = torch.load(newest, map_location=device, weights_only=True)
        if content["recipe"] != asdict(recipe):
            raise SystemExit(f"{newest}: belongs to another recipe than {options.recipe}; choose another --out")
        net.load_state_dict(content["net"])
        average.load_state_dict(content["average"])
        optimizer.load_state_dict(content["optimizer"])
        first, best = content["step"], content["best"]
        print(f"resumed at step {first}", flush=True)
    else:  # the features' mean and spread, per bin, from the training mixtures themselves
        sources = torch.tensor(mixer.batch(recipe.seed, 0, 64, samples), device=device)
        spectrum = torch.view_as_real(front.analyse(sources.sum(1)))
        raw = net.features(spectrum, net.start(64)["level"])[0] * net.feature_scale + net.feature_mean
        net.feature_mean.copy_(raw.mean((0, 1)))
        net.feature_scale.copy_(raw.std((0, 1)).clamp_min(0.1))

    began = time.monotonic()
    with ThreadPoolExecutor(1) as pool, open(options.out / "log.csv", "a", newline="") as file:
        log = csv.writer(file)
        batch = pool.submit(mixer.batch, recipe.seed, first + 1, recipe.batch, samples)
        for step in range(first, recipe.steps):
            sources = torch.tensor(batch.result(), device=device)
            batch = pool.submit(mixer.batch, recipe.seed, step + 2, recipe.batch, samples)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, step)
            loss, parts = loss_of(recipe, net, front, sources, step, mixer.symmetric)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimizer.step()
            average.update_parameters(net)

            done = step + 1
            late = (time.monotonic() - began) / 60 > options.minutes
            improvement = math.nan
            if done % recipe.validate_every == 0 or done == recipe.steps or late:
                improvement = validate(average.module, front, lists, mixer.symmetric)
                best = max(best, improvement)
            log.writerow(
                [done, round(time.monotonic() - began, 1), *(round(part, 4) for part in parts.values()), improvement]
            )
            if done % 100 == 0 or not math.isnan(improvement):
                file.flush()
                print(done, f"{time.monotonic() - began:.0f} s", parts, f"val {improvement:.2f} dB", flush=True)
                state = {"recipe": asdict(recipe), "net": net.state_dict(), "average": average.state_dict()}
                state |= {"optimizer": optimizer.state_dict(), "step": done, "best": best, "val_db": improvement}
                save(newest, state)
            if late:
                break


if __name__ == "__main__":
    main()
