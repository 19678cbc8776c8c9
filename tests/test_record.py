"""Live sound, recorded: every sample in its place, whatever becomes of the disk, of the scribe, or of the sound."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from calibrated import ROLES
from graphs import make_graph
from played import Live, session
from strategies import noise
from watched import is_gone, nothing_left, wait

import streamsep
from streamsep.audio import files
from streamsep.audio.growing import SIZE
from streamsep.errors import AudioError, StreamsepError
from streamsep.models.subject import memory_of
from streamsep.record.folder import FILES, lines_of, read

ROOT = Path(streamsep.__file__).parents[1]
RATE = 16_000
LOOK = {"time_s": 0.5, "raw": {"noise": None}, "score": {}, "smoothed": {}, "active": None, "reason": "no-decision"}


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bank")
    for domain, sources in ROLES.items():
        make_graph(folder / f"{domain}-step-fp32.onnx", domain=domain, sources=sources)
    return folder


@pytest.mark.parametrize(("rate", "channels", "domain"), [(48_000, 2, "auto"), (16_000, 1, "music")])
def test_what_came_in_and_what_was_heard_is_in_the_files_to_the_bit(
    bank: Path, tmp_path: Path, rate: int, channels: int, domain: str
) -> None:
    sound = noise(0, 2 * rate, channels).reshape(-1, channels)
    sound[rate] = np.nan
    with nothing_left(), Live(tmp_path / "new" / "take", bank, domain, rate, channels) as live:
        begun = session(tmp_path / "new" / "take")
        live.through(sound, [128, 1, 500], np.random.default_rng(0))
        live.recorder.note("reconnected", pause_s=1.5)
        live.recorder.look(LOOK)
    folder = tmp_path / "new" / "take"
    for name, wanted in (("input", live.input), ("output", live.output)):
        found, found_rate = files.read(folder / f"{name}.wav", finite=False)
        assert found_rate == rate
        np.testing.assert_array_equal(found, wanted)
    assert np.abs(live.output).max() > 0.01
    said = session(folder)
    assert (begun["seconds"], begun["dropped"], begun["ended"]) == (None, None, None)
    assert said == {**begun, "seconds": 2.0, "dropped": 0, "lost_events": 0, "ended": "ended"}
    assert (said["rate"], said["channels"], said["domain"]) == (rate, channels, domain)
    assert said["settings"]["gains_db"]["noise"] == -30
    assert said["slots"] == {"music": ["vocals", "accompaniment"], "noise": ["speech", "noise"]}
    assert lines_of(folder / "decisions.jsonl") == [LOOK]
    events = lines_of(folder / "events.jsonl")
    assert {"sample": 0, "event": "fade-in"} in events
    assert {"sample": 2 * rate, "event": "reconnected", "pause_s": 1.5} in events
    assert {event["event"] for event in events} >= {"gain", "fade-in"}
    assert live.said == []
    assert live.recorder.report() == {
        "folder": str(folder.resolve()), "seconds": 2.0, "dropped_s": 0.0, "status": "recorded"
    }  # fmt: skip


def test_a_folder_with_a_recording_in_it_is_refused_and_nothing_is_written_over(bank: Path, tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / name).write_text("mine")
        with pytest.raises(AudioError, match=f"there is a recording .*{name}.*nothing is written over"):
            Live(tmp_path / name, bank, "music")
        assert [path.read_text() for path in (tmp_path / name).iterdir()] == ["mine"]
    (tmp_path / "a file").write_text("mine")
    with pytest.raises(AudioError, match="a file: cannot be recorded into"):
        Live(tmp_path / "a file", bank, "music")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "holiday.jpg").write_text("mine")
    with Live(tmp_path / "other", bank, "music") as live:
        live.play(noise(0, 100)[:, None])
    assert (tmp_path / "other" / "holiday.jpg").read_text() == "mine"


def test_a_recording_without_a_sample_is_none_and_its_folder_can_be_used_again(bank: Path, tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_text("mine")
    with nothing_left(), Live(tmp_path, bank, "music") as live:
        live.recorder.note("asked", select="noise")
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]
    assert live.recorder.report()["status"] == "nothing was heard that could be recorded"
    with Live(tmp_path, bank, "music") as live:
        live.play(noise(0, 100)[:, None])
    assert session(tmp_path)["seconds"] == 100 / 16_000


def test_a_recording_begins_with_the_first_sample_or_not_at_all(bank: Path, tmp_path: Path) -> None:
    with Live(tmp_path / "one", bank, "music") as live:
        live.play(noise(0, 1000)[:, None])
        with pytest.raises(StreamsepError, match="begins with an engine's first sample"):
            type(live.recorder)(tmp_path / "two", live.engine, {})
    assert not (tmp_path / "two").exists()


def test_the_callback_needs_no_more_memory_when_it_is_recorded(bank: Path, tmp_path: Path) -> None:
    block = noise(0, 128 * 2, 2)[:128]
    with Live(tmp_path, bank, "music", 48_000, 2, room_s=1.0) as live:
        out = np.zeros_like(block)
        moment = type("Moment", (), {"currentTime": 0.0})()
        memory = memory_of(lambda: live.callback(block, out, 128, moment, None), 1500)  # type: ignore[arg-type]
        assert memory.peak < 4096
        assert memory.kept < 1024
        until_kept(live, 1)
        assert live.recorder.tape.kept > 0


# ------------------------------------------------------------------------------------------------- what goes wrong


def until_kept(live: Live, samples: int) -> None:
    wait(lambda: live.recorder.tape.kept >= samples or live.recorder.tape.fault > 0)


def test_a_disk_that_is_too_slow_costs_sound_and_the_rest_stays_in_time(bank: Path, tmp_path: Path) -> None:
    sound = noise(0, 60_000)[:, None]
    with Live(tmp_path, bank, "music", monitor=False, room_s=1.0) as live:
        blocks = np.split(sound, range(100, len(sound), 100))
        for block in blocks[:50]:
            live.play(block)
        until_kept(live, 5000)
        os.kill(live.recorder._scribe.pid, signal.SIGSTOP)
        wait(lambda: is_stopped(live.recorder._scribe.pid))
        for block in blocks[50:500]:
            live.play(block)
        live.recorder.check()
        assert live.said == [f"{tmp_path.resolve()}: too slow for the sound, some is not recorded"]
        os.kill(live.recorder._scribe.pid, signal.SIGCONT)
        until_kept(live, 20_000)
        for block in blocks[500:]:
            live.play(block)
        for _ in range(3):
            live.recorder.check()
    lost = live.recorder.tape.lost
    assert lost == 50_000 - 21_000
    assert session(tmp_path)["dropped"] == lost
    assert session(tmp_path)["seconds"] == 60_000 / RATE
    assert {"sample": 21_000, "event": "dropped", "samples": lost} in lines_of(tmp_path / "events.jsonl")
    for name, wanted in (("input", live.input), ("output", live.output)):
        wanted[21_000 : 21_000 + lost] = 0
        np.testing.assert_array_equal(files.read(tmp_path / f"{name}.wav")[0], wanted)
    assert live.said[1:] == [f"{tmp_path.resolve()}: recorded again; {lost / RATE:.1f} s are missing so far"]


def test_a_full_disk_is_told_once_and_what_was_written_can_be_read(bank: Path, tmp_path: Path) -> None:
    sound = noise(0, 20 * RATE)[:, None]
    with Live(tmp_path, bank, "music", monitor=False, room_s=2.0) as live:
        live.play(sound[:RATE])
        until_kept(live, RATE)
        limit = 300_001
        resource.prlimit(live.recorder._scribe.pid, resource.RLIMIT_FSIZE, (limit, limit))
        for at in range(RATE, len(sound), 160):
            live.play(sound[at : at + 160])
            live.recorder.check()
            if at < 10 * RATE:
                time.sleep(0.001)
        wait(lambda: live.recorder.tape.fault > 0)
        wait(lambda: live.recorder._scribe.exit_code() is not None)
        for _ in range(3):
            live.recorder.check()
        (said,) = [sentence for sentence in live.said if "too slow" not in sentence]
        assert said.startswith(f"{tmp_path.resolve()}: File too large: nothing is recorded after ")
        report = live.recorder.report()
        assert report["status"] == said
        assert report["seconds"] + report["dropped_s"] == pytest.approx(20, abs=0.01)
    assert len(live.output) == len(sound)
    assert np.isfinite(live.output).all()
    assert session(tmp_path)["ended"] == "File too large"
    for name, wanted in (("input", live.input), ("output", live.output)):
        found = files.read(tmp_path / f"{name}.wav")[0]
        assert RATE < len(found) <= limit // 4
        np.testing.assert_array_equal(found, wanted[: len(found)])
    recorded = read(tmp_path)
    assert len(recorded.input) == len(recorded.output) > RATE


def test_a_scribe_that_is_killed_leaves_what_it_had_flushed_and_the_sound_goes_on(bank: Path, tmp_path: Path) -> None:
    sound = noise(0, 4 * RATE)[:, None]
    with Live(tmp_path, bank, "music", monitor=False, room_s=2.0) as live:
        live.play(sound[: 2 * RATE])
        until_kept(live, 2 * RATE)
        wait(lambda: flushed(tmp_path) == 2 * RATE)
        os.kill(live.recorder._scribe.pid, signal.SIGKILL)
        wait(lambda: live.recorder._scribe.exit_code() is not None)
        live.play(sound[2 * RATE :])
        live.recorder.note("anything")
        for _ in range(3):
            live.recorder.check()
        assert live.said == ["the recorder died: signal SIGKILL: nothing is recorded after 2.0 s; the sound goes on"]
        assert live.recorder.report()["dropped_s"] == 2.0
    recorded = read(tmp_path)
    np.testing.assert_array_equal(recorded.input, live.input[: 2 * RATE])
    np.testing.assert_array_equal(recorded.output, live.output[: 2 * RATE])
    assert recorded.facts["ended"] is None
    assert len(live.output) == 4 * RATE


def flushed(folder: Path) -> int:
    """Samples that both headers tell of."""
    paths = [folder / name for name in ("input.wav", "output.wav")]
    if not all(path.exists() and path.stat().st_size >= SIZE for path in paths):
        return 0
    return min(sf.info(path).frames for path in paths)


def is_stopped(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rsplit(")")[-1].split()[0] == "T"


OWNER = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, "tests")
from played import Live
from strategies import noise
live = Live(Path(sys.argv[1]), Path(sys.argv[2]), "music", monitor=False)
sound = noise(0, 16_000)[:, None]
live.play(sound)
print(live.recorder._scribe.pid, flush=True)
sys.stdin.read()
live.play(sound)
if sys.argv[3] == "kill":
    os.kill(os.getpid(), 9)
raise SystemExit("so it ends")
"""


@pytest.mark.parametrize("end", ["kill", "fail"])
def test_when_the_sound_ends_in_any_way_the_scribe_writes_down_what_is_left_and_ends(
    bank: Path, tmp_path: Path, end: str
) -> None:
    command = [sys.executable, "-c", OWNER, str(tmp_path / "take"), str(bank), end]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdin is not None
        scribe = int(owner.stdout.readline())
        owner.stdin.close()
        assert owner.wait(60) in (1, -9)
    wait(lambda: is_gone(scribe))
    recorded = read(tmp_path / "take")
    assert (recorded.facts["seconds"], recorded.facts["ended"]) == (2.0, "ended")
    np.testing.assert_array_equal(recorded.input, np.tile(noise(0, RATE), 2)[:, None])


def test_what_is_noted_waits_for_nobody(bank: Path, tmp_path: Path) -> None:
    with Live(tmp_path, bank, "music") as live:
        live.play(noise(0, 100)[:, None])
        wait(lambda: (tmp_path / "events.jsonl").exists())
        os.kill(live.recorder._scribe.pid, signal.SIGSTOP)
        try:
            for _ in range(5000):  # more than a pipe holds
                live.recorder.look(LOOK)
        finally:
            os.kill(live.recorder._scribe.pid, signal.SIGCONT)
    kept = lines_of(tmp_path / "decisions.jsonl")
    assert 0 < len(kept) < 5000
    assert all(look == LOOK for look in kept)


def test_what_is_not_whole_is_no_part_of_a_recording(bank: Path, tmp_path: Path) -> None:
    with Live(tmp_path, bank, "music") as live:
        live.play(noise(0, RATE)[:, None])
    before = read(tmp_path)
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"sample": 12, "ev')
    assert read(tmp_path).entries == before.entries
    (tmp_path / "session.json").write_text(json.dumps({**before.facts, "format": 2}))
    with pytest.raises(AudioError, match=r"session\.json: format: expected 1, got 2"):
        read(tmp_path)
    (tmp_path / "session.json").write_text("[]")
    with pytest.raises(AudioError, match=r"session\.json: not what `streamsep live --record` writes"):
        read(tmp_path)
