"""A recording that is damaged is refused by the name of the file that is, and a full disk leaves none that is."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from calibrated import ROLES
from graphs import make_graph
from hypothesis import given
from hypothesis import strategies as st
from played import Live
from small_disk import small_disk
from strategies import noise

from streamsep.errors import AudioError, StreamsepError
from streamsep.record.folder import EVENTS, NEEDED, SESSION, STATES, is_recording, lines_of, read
from streamsep.record.recorder import make_folder
from streamsep.replay import replay


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session in which a model came in with its state."""
    folder, bank = tmp_path_factory.mktemp("recorded") / "take", tmp_path_factory.mktemp("bank")
    for domain, sources in ROLES.items():
        make_graph(bank / f"{domain}-step-fp32.onnx", domain=domain, sources=sources)
    random = np.random.default_rng(0)
    with Live(folder, bank, "auto") as live:
        live.through(noise(0, 32_000)[:, None], random.integers(1, 250, 7).tolist(), random)
    assert (folder / STATES).stat().st_size
    return folder


@pytest.fixture
def session(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "take"))


def appended(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(path.read_text() + text)


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        (STATES, Path.unlink, "cannot be read: No such file or directory"),
        (STATES, lambda path: path.write_bytes(b""), None),  # the events know better
        (EVENTS, appended("{\n"), "not JSON"),
        (EVENTS, appended("3\n"), "expected an object, got 3"),
        (EVENTS, lambda path: path.write_bytes(path.read_bytes() + b"\xff\n"), "not JSON"),
        (EVENTS, appended('{"event": "gain"}\n'), "not an event of this session: KeyError('sample')"),
        (EVENTS, appended('{"event": "bypass", "sample": 3, "on": "x"}\n'), "not an event of this session"),
        (EVENTS, appended('{"event": "hand-over", "sample": 3, "domain": "rain"}\n'), "not an event of this session"),
        ("decisions.jsonl", lambda path: path.write_text("{\n"), "not JSON"),
        ("decisions.jsonl", lambda path: path.write_text('{"a": 1}\n'), "line 1: expected an object of ['time_s'"),
        ("input.wav", Path.unlink, "no such file"),
        (SESSION, lambda path: path.write_text(""), "not what `streamsep live --record` writes"),
        (SESSION, lambda path: path.write_text("[]"), "not what `streamsep live --record` writes"),
    ],
)
def test_what_is_damaged_is_named(
    session: Path, name: str, damage: Callable[[Path], object], said: str | None
) -> None:
    read(session)
    damage(session / name)
    with pytest.raises(AudioError) as caught:
        replay(session)
    blamed = name if said else EVENTS
    assert str(caught.value).startswith(f"{session / blamed}: ")
    assert (said or f"its state is not in {STATES}") in str(caught.value)


@pytest.mark.parametrize("key", NEEDED)
def test_a_session_that_does_not_say_what_it_must_is_refused_with_the_key(session: Path, key: str) -> None:
    facts = json.loads((session / SESSION).read_text())
    del facts[key]
    (session / SESSION).write_text(json.dumps(facts))
    with pytest.raises(AudioError, match=rf"session\.json: not what .*\['{key}'\] are missing"):
        read(session)


@given(
    lines=st.lists(st.dictionaries(st.text(max_size=3), st.integers(), max_size=2), max_size=4),
    rest=st.text('{}[]"1a', max_size=5),
)
def test_a_line_that_is_not_whole_is_no_part_of_it(
    tmp_path_factory: pytest.TempPathFactory, lines: list[dict[str, int]], rest: str
) -> None:
    path = tmp_path_factory.mktemp("lines") / "events.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + rest)
    assert lines_of(path) == lines


@pytest.mark.parametrize("size", [0, 100])
def test_a_disk_that_is_full_at_the_start_leaves_a_folder_that_can_be_used(tmp_path: Path, size: int) -> None:
    facts = {"format": 1, "settings": "x" * 1000}
    with small_disk(size), pytest.raises(StreamsepError, match="take: cannot be recorded into: File too large"):
        make_folder(tmp_path / "take", facts)
    assert list((tmp_path / "take").iterdir()) == []
    make_folder(tmp_path / "take", facts)
    assert is_recording(tmp_path / "take")


def test_a_session_that_is_there_stays_when_another_is_to_begin(tmp_path: Path) -> None:
    make_folder(tmp_path, {"mine": 1})
    before = (tmp_path / SESSION).read_bytes()
    with pytest.raises(AudioError, match="there is a recording"):
        make_folder(tmp_path, {"other": 2})
    assert (tmp_path / SESSION).read_bytes() == before
