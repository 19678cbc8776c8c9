"""Quality against time: python -m export.tradeoff runs/A runs/B ... --data DATA --domain noise -o tradeoff.png

A point for every trained network: how much its masks improve SI-SDR on the validation list, through the int8 step
graph that would be shipped, and how long that graph takes for a hop on this machine. Writes the picture and, beside
it, the numbers as CSV. Needs matplotlib (the extra "figures"). Let the machine rest otherwise while it runs.
"""

import argparse
import csv
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure  # no pyplot: no display is touched and no global state is left
from matplotlib.transforms import Bbox

from export.corpus import RATE
from export.frontend import FrontEnd
from export.mixtures import RECIPES
from export.parity import analyse, frame_by_frame, times_per_hop_ms
from export.to_onnx import count_parameters, export_graph, load_checkpoint, quantise, save
from streamsep.errors import StreamsepError
from streamsep.evaluation.lists import Mixture, mixtures
from streamsep.evaluation.metrics import best_order, si_sdr_improvement_db
from streamsep.models.loader import Batch
from streamsep.models.manifest import FORMAT, Manifest
from streamsep.whole_files import whole

BUDGET_US = 100  # that a hop may take
CHECKPOINTS = ("best.pt", "last.pt")  # the first that a run has is measured
COLOURS = {"lstm": "#2a788e", "grouped": "#de4968", "bands": "#8c2981"}
# Where a label may be, best first: points from its point, and which of its edges is there.
PLACES = (
    (-6, 6, "right", "bottom"),
    (6, -6, "left", "top"),
    (6, 6, "left", "bottom"),
    (-6, -6, "right", "top"),
    (9, 0, "left", "center"),
    (-9, 0, "right", "center"),
    (0, 9, "center", "bottom"),
    (0, -9, "center", "top"),
)


@dataclass(frozen=True)
class Point:
    """One trained network."""

    run: str
    trunk: str
    layers: int
    hidden: int
    groups: int
    parameters: int  # from spectrum to masks
    time_us: float  # median of a hop
    si_sdri_db: float  # mean over the validation list and all slots

    @property
    def label(self) -> str:
        """Trunk, layers x hidden, parameters."""
        groups = f" by {self.groups}" if self.groups > 1 else ""
        return f"{self.trunk}{groups}, {self.layers} x {self.hidden}\n{self.parameters / 1e6:.2f} M"


def export_run(folder: Path, domain: str, path: Path) -> dict[str, Any]:
    """Write the int8 step graph of a run; what a Point says of its network.

    Raises ValueError when the folder has no checkpoint, or one of another domain.
    """
    found = [folder / name for name in CHECKPOINTS if (folder / name).is_file()]
    if not found:
        raise ValueError(f"{folder}: expected the folder of a training run, with {' or '.join(CHECKPOINTS)} in it")
    recipe, net, steps = load_checkpoint(found[0])
    if recipe.recipe != domain:
        raise ValueError(
            f"{found[0]}: recipe: expected {domain!r}, as all runs of one picture, got {recipe.recipe!r}"
        )
    shape = net.shape
    slots = range(shape.sources)
    exact = export_graph(net, "step")
    manifest = Manifest(
        format=FORMAT,
        domain=domain,
        version="0",
        graph="step",
        precision="int8",
        sample_rate=RATE,
        window=recipe.window,
        synthesis_window=recipe.synthesis,
        hop=recipe.hop,
        sources=tuple("source" if RECIPES[domain].symmetric else f"source-{slot}" for slot in slots),
        embedding_dims=recipe.dims,
        states=shape.state_shapes(),
        licence="for measurement only",
    )
    save(quantise(exact), manifest, path)
    print(f"{found[0]}: {steps} steps", flush=True)
    sizes = {name: getattr(shape, name) for name in ("trunk", "layers", "hidden", "groups")}
    return {"run": folder.name, **sizes, "parameters": count_parameters(exact)}


def improvement_db(graph: Batch, listed: Sequence[Mixture]) -> float:
    """SI-SDRi, mean over the mixtures and their slots, of a step graph run frame by frame; silent sources do not
    count."""
    manifest, found = graph.manifest, []
    front = FrontEnd(manifest.window, manifest.synthesis_window, manifest.hop)
    for mixture in listed:
        sound = mixture.sources.sum(0)
        frames = analyse(front, sound)
        masks, _ = frame_by_frame(graph, frames)
        estimates = front.synthesise(torch.from_numpy(masks.swapaxes(0, 1) * frames)).numpy()
        order = best_order(estimates, mixture.sources, manifest.sources)
        for source, slot in zip(mixture.sources, order, strict=True):
            found.append(si_sdr_improvement_db(estimates[slot], source, sound))
    return float(np.nanmean(found))


def measure(folders: Sequence[Path], data: Path, domain: str) -> list[Point]:
    """A point a run, fastest first. Raises ValueError or StreamsepError for whatever is wrong with runs or list."""
    listed = list(mixtures(data, "val", domain))
    with tempfile.TemporaryDirectory() as temporary:
        paths = [Path(temporary) / f"{number}.onnx" for number in range(len(folders))]
        networks = [export_run(folder, domain, path) for folder, path in zip(folders, paths, strict=True)]
        points = []
        for network, path, time_ms in zip(networks, paths, times_per_hop_ms(paths), strict=True):
            points.append(Point(**network, time_us=1000 * time_ms, si_sdri_db=improvement_db(Batch(path), listed)))
            print(f"{points[-1].run}: {points[-1].si_sdri_db:.2f} dB, {points[-1].time_us:.1f} us a hop", flush=True)
    return sorted(points, key=lambda point: point.time_us)


def best_for_their_time(points: Sequence[Point]) -> list[Point]:
    """The Pareto front: those that no other one beats in time and quality, fastest first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (point.time_us, -point.si_sdri_db)):
        if not best or point.si_sdri_db > best[-1].si_sdri_db:
            best.append(point)
    return best


def draw(path: Path, points: Sequence[Point], domain: str) -> None:
    """Write the picture as PNG."""
    figure = Figure(figsize=(9, 6), dpi=120, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    panel = figure.subplots()
    front = best_for_their_time(points)
    panel.plot(*places(front), color="#8c2981", linewidth=1.5, label="best for their time", zorder=1)
    panel.axvline(
        BUDGET_US, color="black", linestyle=(0, (5, 4)), linewidth=1, label=f"budget: {BUDGET_US} \N{MICRO SIGN}s"
    )
    for trunk, colour in COLOURS.items():
        panel.scatter(*places([point for point in points if point.trunk == trunk]), s=45, color=colour, zorder=2)
    panel.margins(0.15)
    panel.set_xlabel("graph time per hop in \N{MICRO SIGN}s: int8, one core, median", fontsize=12)
    panel.set_ylabel("SI-SDRi in dB: validation list, mean of the slots", fontsize=12)
    panel.set_title(f"{domain}: quality against time", fontsize=14, fontweight="bold", loc="left")
    panel.grid(color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.legend(frameon=False, fontsize=10, loc="lower right")
    canvas.draw()
    label(panel, points)
    figure.savefig(path, format="png")


def places(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    """Their coordinates in the picture."""
    return [point.time_us for point in points], [point.si_sdri_db for point in points]


def label(panel: Any, points: Sequence[Point]) -> None:
    """Write each point's label beside it, in the place where it hides least of the points, lines and other labels.

    The figure must have been drawn, for only then is it known where things are.
    """
    dots = panel.transData.transform(np.transpose(places(points)))
    paths = [line.get_transform().transform_path(line.get_path()) for line in panel.get_lines()]
    labels: list[Bbox] = []
    for point in points:
        at = point.time_us, point.si_sdri_db
        text = panel.annotate(point.label, at, (0, 0), textcoords="offset points", fontsize=9, color="#333333")

        def put(place: tuple[int, int, str, str], text: Any = text) -> Bbox:
            across, up, horizontal, vertical = place
            text.set(position=(across, up), horizontalalignment=horizontal, verticalalignment=vertical)
            return text.get_window_extent().padded(3)

        def hidden(place: tuple[int, int, str, str]) -> int:
            box = put(place)
            outside = not (panel.bbox.contains(*box.min) and panel.bbox.contains(*box.max))
            crossed = sum(path.intersects_bbox(box, filled=False) for path in paths)
            return 2 * outside + crossed + 2 * box.count_contains(dots) + 2 * box.count_overlaps(labels)

        labels.append(put(min(PLACES, key=hidden)))


def write(out: Path, points: Sequence[Point], domain: str) -> None:
    """The picture, and the numbers beside it; each file is replaced whole."""
    out.parent.mkdir(parents=True, exist_ok=True)
    best = best_for_their_time(points)
    with whole(out.with_suffix(".csv")) as part, open(part, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [*(field.name for field in fields(Point)), "best_for_its_time"])
        table.writeheader()
        table.writerows(asdict(point) | {"best_for_its_time": point in best} for point in points)
    with whole(out) as part:
        draw(part, points, domain)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN_FOLDER", help="--out of export.train")
    parser.add_argument("--data", type=Path, required=True, help="folder with mixtures.csv and the clips")
    parser.add_argument("--domain", required=True, choices=sorted(RECIPES))
    parser.add_argument("-o", "--out", type=Path, required=True, help="the picture, a .png")
    options = parser.parse_args()
    if options.out.suffix != ".png":
        parser.error(f"--out: expected a name that ends in .png, got {options.out}")
    torch.set_num_threads(1)
    try:
        write(options.out, measure(options.runs, options.data, options.domain), options.domain)
    except (StreamsepError, ValueError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
