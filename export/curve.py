"""Learning curves of one or several runs in one picture: python -m export.curve runs/D/log.csv ... -o curve.png.

Above, what the training loss hears: the signal-to-noise ratio of its mixtures (SI-SDR where the recipe says so), a
running mean. Below, SI-SDR improvement on the validation list, with the best of each run. Needs matplotlib (the extra
"figures").
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.log import read_log
from streamsep.errors import StreamsepError
from streamsep.whole_files import whole

SMOOTH = 100  # steps of the running mean


def running_mean(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """(n,) -> (n,): the mean of the last `width` values, of all there are so far near the start.

    >>> running_mean(np.array([1.0, 3.0, 5.0, 7.0]), 2)
    array([1., 2., 4., 6.])
    """
    total = np.concatenate([[0.0], np.cumsum(values)])
    stop = np.arange(1, len(values) + 1)
    start = np.maximum(stop - width, 0)
    return (total[stop] - total[start]) / (stop - start)


def names(logs: Sequence[Path]) -> list[str]:
    """What to call each run: its folder, or the whole path where two folders are called alike."""
    folders = [log.resolve().parent.name for log in logs]
    return [folder if folders.count(folder) == 1 else str(log) for folder, log in zip(folders, logs, strict=True)]


def draw_curves(logs: Sequence[Path], path: Path) -> None:
    """Write a PNG, whole or not at all. Raises ValueError naming the log and line that cannot be read."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure  # no pyplot: no display is touched and no global state is left

    runs = [read_log(log) for log in logs]
    figure = Figure(figsize=(9, 7), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    training, validation = figure.subplots(2, 1, sharex=True)
    for run, name in zip(runs, names(logs), strict=True):
        (line,) = training.plot(run["step"], running_mean(-run["ratio_db"], SMOOTH), label=name)
        validated = ~np.isnan(run["validation_db"])
        steps, figures = run["step"][validated], run["validation_db"][validated]
        label = f"{name}: not validated yet"
        if len(figures):
            best = int(figures.argmax())
            label = f"{name}: best {figures[best]:.2f} dB at step {steps[best]:.0f}"
            validation.plot(steps[best], figures[best], "*", markersize=13, color=line.get_color())
        validation.plot(steps, figures, ".-", color=line.get_color(), label=label)
    training.set_ylabel("dB")
    training.set_title(f"training mixtures: SNR or SI-SDR, as the recipe has it, mean of {SMOOTH} steps", loc="left")
    validation.set_ylabel("SI-SDR improvement, dB")
    validation.set_title("validation list: SI-SDR improvement of the averaged weights", loc="left")
    validation.set_xlabel("steps")
    for panel in (training, validation):
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    figure.legend(*validation.get_legend_handles_labels(), loc="outside lower left", ncols=2, frameon=False)
    with whole(path) as part:
        figure.savefig(part, format="png")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", type=Path, nargs="+", metavar="log.csv")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the picture, a PNG")
    options = parser.parse_args()
    try:
        draw_curves(options.logs, options.out)
    except (StreamsepError, ValueError, OSError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
