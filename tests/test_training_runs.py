"""A training run goes on where it was stopped, however it was stopped and however many processes share it."""

import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import torch
from kin import children
from tiny_data import TINY, make_data, write_list, write_recipe

from export import train
from export.average import average
from export.licences import weights_licence
from export.log import COLUMNS, read_log
from export.stages import corpora_of, own_stage
from export.start import read_start
from streamsep.models.manifest import Corpus

torch.set_num_threads(1)

HERE = Path(__file__).parents[1]
Start = Callable[..., None]


def arguments(out: str, *more: str) -> list[str]:
    return ["tiny.yaml", "--data", "data", "--out", out, *more]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a little data in it."""
    write_list(make_data(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """The command line, in this process: start(out, *more, key=value for the recipe)."""

    def run(out: str, *more: str, **changes: Any) -> None:
        write_recipe(folder, **changes)
        monkeypatch.setattr(sys, "argv", ["train", *arguments(out, *more)])
        train.main()

    return run


def launch(folder: Path, *how: str, process_group: int | None = None) -> subprocess.Popen[str]:
    """Another Python in the folder, one thread."""
    settings = os.environ | {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    command, out = [sys.executable, *how], subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=settings, stdout=out, text=True, process_group=process_group)


def checkpoint(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def assert_same_run(one: Path, other: Path) -> None:
    """The same weights to the bit, and the same log but for the time it took."""
    first, second = checkpoint(one / "last.pt"), checkpoint(other / "last.pt")
    assert first["step"] == second["step"]
    assert (first["best"], first["waited"]) == (second["best"], second["waited"])
    for part in ("net", "average"):
        for name, tensor in first[part].items():
            assert torch.equal(tensor, second[part][name]), (part, name)
    logs = [[line.split(",") for line in (run / "log.csv").read_text().splitlines()] for run in (one, other)]
    assert [[*row[:1], *row[2:]] for row in logs[0]] == [[*row[:1], *row[2:]] for row in logs[1]]
    assert [row[0] for row in logs[0]] == ["step", *map(str, range(1, first["step"] + 1))]


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(start: Start, folder: Path) -> None:
    start("whole")
    for _ in range(3):
        start("stopped", "--minutes", "0")  # a step each time
    assert_same_run(folder / "whole", folder / "stopped")
    whole = checkpoint(folder / "whole" / "last.pt")
    start("other", seed=2)
    other = checkpoint(folder / "other" / "last.pt")
    both = average([whole, other])
    for name, tensor in both["average"].items():
        assert torch.allclose(tensor.double(), (whole["average"][name].double() + other["average"][name]) / 2)
    with pytest.raises(ValueError, match="dims"):
        average([whole, other | {"recipe": other["recipe"] | {"dims": 5}}])
    with pytest.raises(SystemExit, match=r"last\.pt.*another recipe"):
        start("whole", hidden=9)


def test_a_run_of_before_a_recipe_had_its_younger_keys_goes_on(start: Start, folder: Path) -> None:
    start("whole")
    start("stopped", "--minutes", "0")
    path = folder / "stopped" / "last.pt"
    old = checkpoint(path)
    assert old["recipe"].keys() - TINY.keys() == {"ratio_loss", "embedding_activation"}
    old["recipe"] = TINY
    train.save(path, old)
    with pytest.raises(SystemExit, match=r"last\.pt.*another recipe"):
        start("stopped", ratio_loss="si-sdr", embedding_activation="sigmoid")
    start("stopped")
    assert_same_run(folder / "whole", folder / "stopped")
    average([old, checkpoint(path)])


def test_a_run_of_before_the_optimizer_changed_is_told_how_to_go_on(start: Start, folder: Path) -> None:
    start("old", "--minutes", "0")
    path = folder / "old" / "last.pt"
    content = checkpoint(path)
    content["optimizer"] = torch.optim.Adam(torch.nn.Linear(2, 2).parameters()).state_dict()
    train.save(path, content)
    with pytest.raises(SystemExit, match=r"last\.pt: of an older version, .*and --start .*last"):
        start("old")
    assert checkpoint(path).keys() == content.keys()
    start("new", "--start", "old/last.pt")


def test_a_run_can_begin_with_the_weights_of_another_recipe(start: Start, folder: Path) -> None:
    start("first")
    start("second", "--start", "first/last.pt", recipe="environment", steps=1, learning_rate=1e-12)
    first, second = (checkpoint(folder / out / "last.pt") for out in ("first", "second"))
    for name, tensor in second["net"].items():
        assert torch.allclose(tensor, first["average"][f"module.{name}"], atol=1e-6)
    assert not torch.equal(second["net"]["mask_head.weight"], first["net"]["mask_head.weight"])
    noise, environment = (
        {"recipe": each["recipe"], "steps": each["step"], "heard": each["heard"]} for each in (first, second)
    )
    assert {corpus["corpus"] for corpus in first["heard"]} > {"TSP", "AN4"}
    assert (first["before"], second["before"]) == ([], [noise])
    start("chain", "--start", "second/last.pt", steps=2, seed=4)
    assert checkpoint(folder / "chain" / "last.pt")["before"] == [noise, environment]
    assert average([second, second | {"before": [noise, environment]}])["before"] == [noise, environment]
    old = {key: value for key, value in second.items() if key != "before"}  # from before it was recorded
    train.save(folder / "second" / "last.pt", old)
    for more, before in (((), [None]), (("--start", "second/last.pt"), [None, environment])):
        train.save(folder / "chain" / "last.pt", old | {"recipe": noise["recipe"] | {"steps": 2}})
        start("chain", *more, steps=2)  # goes on from there
        assert checkpoint(folder / "chain" / "last.pt")["before"] == before
    with pytest.raises(SystemExit, match=r"--start: .*trunk"):
        start("third", "--start", "first/last.pt", hidden=9)
    (folder / "junk.pt").write_bytes(b"junk")
    with pytest.raises(SystemExit, match=r"junk\.pt: expected a checkpoint"):
        start("third", "--start", "junk.pt")
    assert not (folder / "third" / "last.pt").exists()


def test_a_run_remembers_all_that_it_heard(start: Start, folder: Path) -> None:
    start("run", "--minutes", "0")
    once = checkpoint(folder / "run" / "last.pt")["heard"]
    manifest = folder / "data" / "manifest.csv"
    before = manifest.read_text()
    manifest.write_text(before.replace("AN4", "Other"))
    start("run")
    heard = checkpoint(folder / "run" / "last.pt")["heard"]
    assert {corpus["corpus"] for corpus in heard} == {corpus["corpus"] for corpus in once} | {"Other"}
    manifest.write_text(before)
    start("recorded", steps=1)
    recorded = checkpoint(folder / "recorded" / "last.pt")
    with pytest.raises(ValueError, match="nobody recorded what they heard"):
        average([recorded, recorded | {"heard": None}])


def test_a_run_can_begin_with_a_released_model(start: Start, folder: Path) -> None:
    model = str(HERE / "streamsep" / "models" / "zoo" / "speech-step-fp32.onnx")
    shipped = {"trunk": "bands", "groups": 16, "hidden": 64, "layers": 3, "dims": 20}
    front_end = {"window": 512, "synthesis": 128, "hop": 64}
    start("mine", "--start", model, steps=1, learning_rate=1e-12, **shipped, **front_end)
    mine, released = checkpoint(folder / "mine" / "last.pt"), read_start(Path(model))
    for name, tensor in released.weights.items():
        assert torch.allclose(mine["net"][name], tensor, atol=1e-6)
    assert mine["before"] == released.stages
    with pytest.raises(SystemExit, match=r"speech-step-int8\.onnx: expected a released model's DOMAIN-step-fp32"):
        start("other", "--start", model.replace("fp32", "int8"))


def release_of(corpus: str, licence: str) -> dict[str, Any]:
    """A stage that says its data itself."""
    return {"recipe": {"recipe": corpus}, "steps": 1, "data": [{"corpus": corpus, "minutes": 9, "licence": licence}]}


@pytest.mark.parametrize("order", list(permutations(range(2))))
def test_an_average_has_the_data_of_every_release_its_runs_began_with(order: tuple[int, int]) -> None:
    alone, music, speech = (
        {"recipe": {"recipe": "noise"}, "steps": 2},
        *(release_of(*each) for each in (("MIR-1K", "free for research, no explicit licence"), ("TSP", "BSD"))),
    )
    befores = [[{"recipe": {"recipe": "old"}, "steps": 3}, music, alone], [speech]]
    runs = [{"recipe": TINY, "average": {"w": torch.zeros(1)}, "before": befores[number]} for number in order]
    derived: list[str] = []

    def derive(recipes: list[str]) -> list[Corpus]:
        derived[:] = recipes
        return [Corpus(corpus="Street", minutes=1, licence="CC0")]

    found = average(runs)
    data = corpora_of([*found["before"], own_stage(found | {"recipe": {"recipe": "speech"}, "step": 1})], derive)
    assert {one.corpus for one in data} == {"MIR-1K", "TSP", "Street"}
    assert weights_licence(data).startswith("Research use only")
    assert derived == ["noise", "speech"]  # what came before a release is in its data


def test_a_run_that_was_asked_to_end_saves_its_step_and_goes_on(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = {"steps": 7, "validate_every": 2}
    start("whole", **recipe)
    real, signals = train.validate, [signal.SIGINT, signal.SIGTERM]

    def interrupted(*everything: Any) -> float:
        if signals:
            os.kill(os.getpid(), signals.pop())
        return real(*everything)

    monkeypatch.setattr(train, "validate", interrupted)
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    for done, number in ((2, signal.SIGTERM), (4, signal.SIGINT)):
        with pytest.raises(SystemExit) as end:
            start("stopped", **recipe)
        assert end.value.code == 128 + number
        assert checkpoint(folder / "stopped" / "last.pt")["step"] == logged(folder / "stopped") == done
        assert handlers == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
    start("stopped", **recipe)
    assert_same_run(folder / "whole", folder / "stopped")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(start: Start, folder: Path, workers: int) -> None:
    recipe, moment = {"steps": 40, "validate_every": 10}, random.randrange(11, 30)  # steps; there is a checkpoint
    write_recipe(folder, **recipe)
    process = launch(folder, "-m", "export.train", *arguments("killed", "--workers", str(workers)))
    while logged(folder / "killed") < moment and process.poll() is None:
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.02))  # anywhere in a step
    helpers = children(process.pid)
    process.kill()
    process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL
    assert len(helpers) >= workers
    while any(map(running, helpers)):  # for ever, if they stay
        time.sleep(0.01)
    done = checkpoint(folder / "killed" / "last.pt")["step"]
    assert 10 <= done <= logged(folder / "killed"), moment
    start("killed", **recipe)
    start("whole", **recipe)
    assert_same_run(folder / "whole", folder / "killed")


def test_ctrl_c_ends_a_run_and_the_processes_that_make_its_mixtures(start: Start, folder: Path) -> None:
    write_recipe(folder, steps=1000, validate_every=10)
    process = launch(folder, "-m", "export.train", *arguments("stopped", "--workers", "2"), process_group=0)
    while logged(folder / "stopped") < 11 and process.poll() is None:
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGINT
    assert checkpoint(folder / "stopped" / "last.pt")["step"] == logged(folder / "stopped")


def running(process: int) -> bool:
    """Whether there is one, and it is not just waiting to be buried."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def logged(out: Path) -> int:
    """Steps in the log so far."""
    path = out / "log.csv"
    return path.read_bytes().count(b"\n") - 1 if path.is_file() else 0


def test_two_processes_train_what_one_trains(start: Start, folder: Path) -> None:
    recipe = {"steps": 20, "batch": 4, "validate_every": 10}
    write_recipe(folder, **recipe)
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    both = launch(folder, *torchrun, "-m", "export.train", *arguments("two"))
    start("one", **recipe)
    both.communicate(timeout=300)
    assert both.returncode == 0
    one, two = (checkpoint(folder / out / "last.pt") for out in ("one", "two"))
    assert one["step"] == two["step"] == 20
    for part in ("net", "average"):
        for name, tensor in one[part].items():
            assert (tensor - two[part][name]).abs().max() < 1e-4, (part, name)
    logs = [read_log(folder / out / "log.csv") for out in ("one", "two")]
    for name in COLUMNS:
        if name != "seconds":
            assert logs[0][name] == pytest.approx(logs[1][name], abs=5e-3, nan_ok=True), name


def test_a_run_without_a_new_best_for_long_ends_for_good_and_keeps_the_best(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = {"steps": 9, "validate_every": 1, "patience": 2}
    found = iter([1.0, 3.0, 2.0, math.nan])
    monkeypatch.setattr(train, "validate", lambda *_: next(found))
    start("run", **recipe)
    last, best = (checkpoint(folder / "run" / name) for name in ("last.pt", "best.pt"))
    assert (last["step"], last["waited"], last["best"]) == (4, 2, 3.0)
    assert (best["step"], best["waited"], best["best"]) == (2, 0, 3.0)
    assert last.keys() == best.keys()
    assert "stopped early" in capsys.readouterr().out
    start("run", **recipe)
    assert "nothing left to do" in capsys.readouterr().out
    assert checkpoint(folder / "run" / "last.pt")["step"] == 4
    assert logged(folder / "run") == 4


def test_a_run_that_diverges_ends_and_keeps_the_checkpoint_from_before(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start("run", steps=2)
    before = (folder / "run" / "last.pt").read_bytes()
    forward = train.Objective.forward
    monkeypatch.setattr(train.Objective, "forward", lambda *given: [part * math.nan for part in forward(*given)])
    with pytest.raises(
        SystemExit, match=r"step 1: the loss is nan dB; there is no checkpoint yet: lower the learning"
    ):
        start("other", steps=2)
    assert not (folder / "other" / "last.pt").exists()
    assert (folder / "run" / "last.pt").read_bytes() == before


def test_a_checkpoint_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.pt"
    train.save(path, {"step": 1})

    def run_out_of_disk(content: object, file: Any) -> None:
        file.write(b"PK\x03\x04 half a check")
        raise OSError("no space left")

    monkeypatch.setattr(torch, "save", run_out_of_disk)
    with pytest.raises(OSError, match="space"):
        train.save(path, {"step": 2})
    assert checkpoint(path) == {"step": 1}


def test_what_a_run_cannot_do_is_said_before_anything_is_written(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=r"tiny\.yaml: steps"):
        start("run", steps=-1)
    with pytest.raises(SystemExit, match="--workers: should be 0 or more, got -1"):
        start("run", "--workers", "-1")
    with pytest.raises(SystemExit, match=r"mixtures\.csv.*'music'"):
        start("run", recipe="music")
    monkeypatch.setenv("WORLD_SIZE", "2")
    waits: list[timedelta] = []
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda backend, timeout: waits.append(timeout))
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: None)
    with pytest.raises(SystemExit, match=r"tiny\.yaml: batch: .* multiple of 2.* got 3"):
        start("run", batch=3)
    assert not (folder / "run").exists()
    assert waits == [timedelta(days=1)]  # the others wait while the first decodes, which may take hours
