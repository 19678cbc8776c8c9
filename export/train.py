"""Train one domain's chimera network: python -m export.train configs/train/noise.yaml --data DIR --out runs/noise.

One flat loop. Batches are a function of (seed, step) and everything else is in the checkpoint, so a run that was
killed, interrupted or out of time goes on where its last checkpoint was, by the same command, as if nothing had been.
`torchrun --nproc-per-node=N -m export.train ...` shares every batch among N processes of a machine, with the same
result.

In the --out folder: last.pt to go on from, best.pt with the averaged weights that were best on the validation list,
and log.csv, which `python -m export.curve` draws.
"""

import argparse
import math
import os
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from export.batches import Batches
from export.corpus import RATE
from export.frontend import FrontEnd
from export.log import Log
from export.losses import (
    best_order,
    deep_clustering,
    error_ratios_db,
    phase_sensitive,
    scale_invariant_ratios_db,
    whitened_k_means,
)
from export.memory import keep_memory
from export.mixtures import RECIPES, Mixer, corpora_in
from export.networks import Chimera
from export.optimizer import Optimizer
from export.processes import Processes, signals_to_stop
from export.recipe import Recipe
from export.stages import Stages, stages_before, together
from export.start import Start, read_start
from streamsep.errors import ConfigError, StreamsepError
from streamsep.evaluation.lists import mixtures
from streamsep.models.manifest import Corpus

CHECKPOINT_EVERY = 100  # steps; and at every validation
EMBEDDING_LOSSES = {"classic": deep_clustering, "whitened": whitened_k_means}
RATIO_LOSSES = {"snr": error_ratios_db, "si-sdr": scale_invariant_ratios_db}


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all, and to the disk."""
    part = path.with_suffix(".part")
    with open(part, "wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up over 100 steps, then half a cosine down to a hundredth."""
    warm = min(1.0, (step + 1) / 100)
    return recipe.learning_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / recipe.steps)))


def bf16_helps(device: torch.device) -> bool:
    """Whether this machine multiplies matrices of 16-bit floats itself; elsewhere they only cost accuracy."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


class Objective(nn.Module):
    """What is minimised: a mean over the batch. A module, so that processes can share the work.

    symmetric: the slots are of one kind, so each example's sources go to the slots where they fit best.
    """

    def __init__(self, recipe: Recipe, net: Chimera, front: FrontEnd, symmetric: bool, bf16: bool) -> None:
        super().__init__()
        self.recipe, self.net, self.front, self.symmetric, self.bf16 = recipe, net, front, symmetric, bf16
        self.clustering, self.ratios = EMBEDDING_LOSSES[recipe.embedding_loss], RATIO_LOSSES[recipe.ratio_loss]

    def forward(self, sources: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """sources: (batch, sources, samples) -> the loss, and its parts for the log: ratio_db, clustering, mask."""
        recipe, net, front = self.recipe, self.net, self.front
        mixture = sources.sum(1)
        with torch.no_grad():
            spectra = front.analyse(sources)  # (batch, sources, frames, bins)
            mixed = spectra.sum(1)
            heard = front.synthesise(spectra)
        with torch.autocast(sources.device.type, torch.bfloat16, enabled=self.bf16):
            trunk, _ = net(torch.view_as_real(mixed), net.start(len(sources)))
            masks = net.masks(trunk)
            some = slice(step % recipe.embedding_every, None, recipe.embedding_every)
            embeddings = net.embeddings(trunk[:, some])
        estimates = front.synthesise(masks[:, :, :-1].transpose(1, 2) * mixed[:, None])
        rest = heard.sum(1, keepdim=True) - estimates.sum(1, keepdim=True)  # masks add up to 1
        ratios = self.ratios(torch.cat([estimates, rest], 1), heard, mixture)
        slots = torch.arange(sources.shape[1], device=sources.device).expand(len(sources), -1)
        order = best_order(ratios.detach()) if self.symmetric else slots
        ratio = ratios.gather(2, order[:, :, None]).mean()
        spectra = spectra.gather(1, order[:, :, None, None].expand(spectra.shape))  # as the slots are
        owners = nn.functional.one_hot(spectra[:, :, some].abs().argmax(1), sources.shape[1]).float()
        weights = mixed[:, some].abs().flatten(1)
        clustering = self.clustering(embeddings.flatten(1, 2), owners.flatten(1, 2), weights)
        few = slice(step % 4, None, 4)
        mask = phase_sensitive(masks[:, few], spectra[:, :, few].transpose(1, 2), mixed[:, few])
        loss = ratio / 10 + recipe.embedding_weight * clustering + recipe.mask_weight * mask
        return loss, torch.stack([ratio, clustering, mask]).detach()


@torch.no_grad()
def validate(net: Chimera, front: FrontEnd, lists: list[Tensor], symmetric: bool) -> float:
    """Mean SI-SDR improvement in dB over the validation list and all slots, symmetric ones in their best order.

    Mixtures with a silent source, of which there is no such figure, do not count.
    """
    improvements = []
    for sources in lists:
        mixed = front.analyse(sources.sum(0))[None]
        trunk, _ = net(torch.view_as_real(mixed), net.start(1))
        improvements.append(improvement_db(front, net.masks(trunk)[0], mixed, sources, symmetric))
    return float(torch.stack(improvements).nanmean())


def improvement_db(front: FrontEnd, masks: Tensor, mixed: Tensor, sources: Tensor, symmetric: bool) -> Tensor:
    """SI-SDR improvement of one mixture in dB, mean over the slots, symmetric ones in their best order; NaN when a
    source is silent.

    masks: (frames, slots, bins); mixed: (1, frames, bins), complex; sources: (slots, samples).
    """
    if not sources.any(-1).all():
        return torch.tensor(math.nan)
    estimates = front.synthesise(masks.transpose(0, 1) * mixed)
    figures = torch.tensor([[si_sdr_db(estimate, source) for source in sources] for estimate in estimates])
    order = best_order(-figures[None])[0] if symmetric else torch.arange(len(sources))
    before = torch.tensor([si_sdr_db(sources.sum(0), source) for source in sources])
    return figures.gather(1, order[:, None]).mean() - before.mean()


def si_sdr_db(estimate: Tensor, source: Tensor) -> float:
    """Scale-invariant signal-to-distortion ratio (Le Roux et al. 2019); both (samples,)."""
    target = source * (estimate @ source) / (source @ source)
    return float(10 * torch.log10(target.square().sum() / (estimate - target).square().sum()))


@torch.no_grad()
def measure_features(net: Chimera, front: FrontEnd, sources: Tensor) -> None:
    """Set the features' mean and spread, per bin, from (examples, sources, samples) of training mixtures."""
    spectrum = torch.view_as_real(front.analyse(sources.sum(1)))
    raw = net.features(spectrum, net.start(len(sources))["level"])[0] * net.feature_scale + net.feature_mean
    net.feature_mean.copy_(raw.mean((0, 1)))
    net.feature_scale.copy_(raw.std((0, 1)).clamp_min(0.1))


def train(
    recipe: Recipe,
    mixer: Mixer,
    lists: list[Tensor],
    out: Path,
    start: Start | None,
    minutes: float,
    processes: Processes,
    workers: int = 0,
) -> None:
    """Train to the end of the recipe, or until stopped, from the checkpoint in `out` if there is one.

    lists: (sources, samples) each, of the validation list; only the first process needs them. start: weights to begin
    with where there is no checkpoint, instead of random ones. workers: see `Batches`. Raises SystemExit when the
    checkpoint is of another recipe or the start of another network, and with 128 + its number, as shells do, when a
    signal stopped it.
    """
    device, share, samples = processes.device, processes.share(recipe.batch), int(recipe.seconds * RATE)
    torch.manual_seed(recipe.seed)
    front = FrontEnd(recipe.window, recipe.synthesis, recipe.hop).to(device)
    net = Chimera(recipe.shape()).to(device)
    if start is not None:
        try:
            net.load_state_dict(start.weights)
        except RuntimeError as error:
            first_of_all = str(error).splitlines()[1].strip()
            raise SystemExit(f"--start: not the weights of the recipe's network: {first_of_all}") from None
    average = torch.optim.swa_utils.AveragedModel(
        net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995), use_buffers=True
    )
    optimizer = Optimizer(net)
    out.mkdir(parents=True, exist_ok=True)
    newest, first, best, waited, before = out / "last.pt", 0, -math.inf, 0, 0.0
    stages: Stages = [] if start is None else start.stages
    heard: list[dict[str, Any]] | None = [corpus.model_dump() for corpus in corpora_in([mixer])]
    console = Console()

    def say(text: str) -> None:
        if processes.is_first:
            console.print(text, soft_wrap=True, markup=False, highlight=False)

    if newest.is_file():
        content = torch.load(newest, map_location=device, weights_only=True)
        if Recipe(**content["recipe"]) != recipe:
            raise SystemExit(f"{newest}: belongs to another recipe; choose another --out")
        net.load_state_dict(content["net"])
        average.load_state_dict(content["average"])
        try:
            optimizer.load_state_dict(content["optimizer"])
        except KeyError:
            wanted = f"choose another --out, and --start {newest} to begin with its weights"
            raise SystemExit(f"{newest}: of an older version, whose optimizer was another; {wanted}") from None
        if start is None or "before" in content:
            stages = stages_before(content)
        if (earlier := content.get("heard")) is None:  # nobody recorded what it had heard so far
            heard = None
        else:
            heard = [corpus.model_dump() for corpus in together(Corpus(**one) for one in (*earlier, *heard))]
        first, best, waited, before = (content[key] for key in ("step", "best", "waited", "seconds"))
        say(f"resumed at step {first}")
    elif start is None and processes.is_first:
        measure_features(net, front, torch.tensor(mixer.batch(recipe.seed, 0, range(64), samples), device=device))
    if first == recipe.steps or waited >= recipe.patience:
        say(f"nothing left to do: ended at step {first} of {recipe.steps}, {waited} validations after the best")
        return

    objective = processes.parallel(Objective(recipe, net, front, mixer.symmetric, bf16_helps(device)))
    bar = Progress(
        TextColumn(recipe.recipe), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[ratio]:.2f} dB"), console=console, speed_estimate_period=600, refresh_per_second=2,
        disable=not (console.is_terminal and processes.is_first),
    )  # fmt: skip
    began = time.monotonic()
    with (
        signals_to_stop() as signals,
        Batches(mixer, recipe.seed, share, samples, workers) as batches,
        Log(out / "log.csv", first) if processes.is_first else nullcontext() as log,
        bar,
    ):
        task = bar.add_task("", total=recipe.steps, completed=first, ratio=math.nan)
        steps = range(first + 1, recipe.steps + 1)
        for done, batch in zip(steps, batches.of(steps), strict=True):
            sources = torch.tensor(batch, device=device)
            loss, parts = objective(sources, done - 1)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimizer.step(learning_rate(recipe, done - 1))
            average.update_parameters(net)
            figures = processes.mean(parts).tolist()
            if not all(map(math.isfinite, figures)):
                kept = f"{newest} is from before" if newest.is_file() else "there is no checkpoint yet"
                raise SystemExit(f"{out}: step {done}: the loss is {figures[0]} dB; {kept}: lower the learning_rate")

            improvement, new_best = None, False
            if done % recipe.validate_every == 0 or done == recipe.steps:
                found = validate(average.module, front, lists, mixer.symmetric) if processes.is_first else math.nan
                improvement = processes.of_first(found)
                new_best = improvement > best
                best, waited = (improvement, 0) if new_best else (best, waited + 1)
            elapsed = time.monotonic() - began
            stopped = processes.any(bool(signals) or elapsed > 60 * minutes)
            if log:
                log.write(done, before + elapsed, figures, improvement)
                bar.update(task, completed=done, ratio=figures[0])
            if log and (done % CHECKPOINT_EVERY == 0 or improvement is not None or stopped):
                log.sync()
                state = {"recipe": asdict(recipe), "net": net.state_dict(), "average": average.state_dict()}
                state |= {"optimizer": optimizer.state_dict(), "step": done, "seconds": before + elapsed}
                state |= {"best": best, "waited": waited}  # dB; validations since
                state |= {"before": stages, "heard": heard}  # see `export.stages`
                if new_best:  # before the newest: a run that is killed in between comes by here again
                    save(out / "best.pt", state)
                save(newest, state)
                ratio, clustering, mask = figures
                say(
                    f"{done} {before + elapsed:.0f} s: ratio {ratio:.2f} dB, clustering {clustering:.4f}, "
                    f"mask {mask:.4f}" + (f", validation {improvement:.2f} dB" if improvement is not None else "")
                )
            if stopped or waited >= recipe.patience:
                break
    if waited >= recipe.patience:
        say(f"stopped early: no new best in {waited} validations")
    if signals:
        raise SystemExit(128 + signals[0])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with manifest.csv, mixtures.csv and the clips"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and the log")
    parser.add_argument(
        "--start",
        type=Path,
        help="a checkpoint, of another recipe even, or DOMAIN-step-fp32.onnx: weights to begin with",
    )
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    parser.add_argument(
        "--workers", type=int, default=0, help="of each process, that make its mixtures: for a GPU, one a core"
    )
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop here, with a checkpoint")
    options = parser.parse_args()

    if options.workers < 0:
        raise SystemExit(f"--workers: should be 0 or more, got {options.workers}")
    keep_memory()
    torch.set_num_threads(options.threads)
    try:
        recipe, processes = Recipe.read(options.recipe), Processes()
        if recipe.batch % processes.count:
            wanted = f"should be a multiple of {processes.count}, the number of processes"
            raise ConfigError(f"{options.recipe}: batch: {wanted}, got {recipe.batch}")
        with processes.first_alone():
            mixer = RECIPES[recipe.recipe](options.data, "train", Path("runs/cache"))
        listed = mixtures(options.data, "val", recipe.recipe) if processes.is_first else ()
        lists = [torch.tensor(mixture.sources, device=processes.device) for mixture in listed]
        if processes.is_first and not any(bool(sources.any(-1).all()) for sources in lists):
            raise ValueError(f"{options.data / 'mixtures.csv'}: in no 'val' mixture does every source sound")
        start = None if options.start is None else read_start(options.start)
    except (StreamsepError, ValueError) as error:
        raise SystemExit(str(error)) from None
    with processes:
        train(recipe, mixer, lists, options.out, start, options.minutes, processes, options.workers)


if __name__ == "__main__":
    main()
