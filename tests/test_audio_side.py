"""The audio side keeps its promise: it makes no arrays, waits for nobody, tells nobody, and raises nothing."""

import ast
import itertools
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fakes import Faulty, Leaky, make_engine
from graphs import CENTRES, make_graph
from small_bank import make_model
from strategies import noise

import streamsep
from streamsep.models.clustered import open_clustered
from streamsep.models.loader import open_model
from streamsep.models.subject import memory_of
from streamsep.realtime.engine import Engine
from streamsep.realtime.mailbox import Mailbox, Order
from streamsep.realtime.ring import Ring

PACKAGE = Path(streamsep.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
BUILT_IN = {
    "abs",
    "all",
    "any",
    "bool",
    "divmod",
    "enumerate",
    "float",
    "int",
    "len",
    "max",
    "min",
    "range",
    "round",
    "zip",
}
ONE_NUMBER = {"all", "any", "argmax", "argmin", "max", "min", "tolist"}  # of an array: a number, or a few
SAME_MEMORY = {"fill", "reshape", "transpose", "view"}
NO_RESULT = {"np.copyto"}
OTHER = {"math.isfinite", "math.log", "time.perf_counter", "time.thread_time"}
FORBIDDEN = (
    ast.Raise, ast.With, ast.Try, ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal, ast.Assert, ast.Await,
    ast.Yield, ast.YieldFrom, ast.FunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.MatMult,
)  # fmt: skip
EXCEPTIONS = {
    ("Engine.process", "Raise"): "wrong arguments, before anything is touched",
    ("Engine.process", "self._grow"): "once for a block longer than any before",
    ("Rendering.process", "Try"): "a model may do anything",
    ("Rendering.process", "np.dot"): "of one row with itself: a number",
    ("Rendering._forget", "Try"): "a model may do anything",
    ("Rendering._move_gains", "np.dot"): "of one row with itself: a number",
    ("BoundGraph.run", "self._runs[self._odd]"): "the graph itself",
    ("HandOver.go_over", "chosen.separator.set_state"): "as many arrays as it has: it copies them",
    ("Callback.__call__", "Try"): "whatever it is, the stream must not end",
    ("Callback.__call__", "self.device_clock"): "a number from PortAudio",
    ("HoldUps.begin", "self.asked"): "a number from JACK, out of shared memory",
    ("TwoDevices._play", "self._hear"): "the callback itself",
    ("Stream._on_both_sides", "self._callback"): "the callback itself",
    ("Stream._time_s", "Try"): "PortAudio's binding raises at one moment of its clock",
    ("Engine.process", "isinstance"): "what else is given is refused at once",
    ("Cleaner.process", "np.logical_and.reduce"): "over all axes: a truth value",
    ("Callback._measure", "np.maximum.reduce"): "over all axes: a number",
    ("Callback._measure", "np.minimum.reduce"): "over all axes: a number",
    ("slide", "combine"): "np.maximum or np.add, with out",
    ("Limiter._follow", "slide_weight"): "a power of two, of a whole number",
}


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Every marked function of the audio side, by class and name."""
    for file in FILES:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        homes = [("", tree), *((f"{node.name}.", node) for node in tree.body if isinstance(node, ast.ClassDef))]
        for prefix, home in homes:
            for node in home.body:
                marks = {ast.unparse(mark) for mark in getattr(node, "decorator_list", ())}
                if isinstance(node, ast.FunctionDef) and "audio_thread" in marks:
                    yield prefix + node.name, node


MARKED = dict(functions())
MARKED_NAMES = {name.split(".")[-1] for name in MARKED}


def offences(name: str, function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    """What in this function an audio thread has no time for."""
    for node in (inner for statement in function.body for inner in ast.walk(statement)):
        if isinstance(node, FORBIDDEN):
            yield name, type(node).__name__
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            last = called.split(".")[-1]
            is_numpy = called.startswith("np.")
            allowed = (
                (is_numpy and any(keyword.arg == "out" for keyword in node.keywords))
                or called in BUILT_IN | NO_RESULT | OTHER
                or (not is_numpy and "." in called and last in ONE_NUMBER | SAME_MEMORY)
                or (not is_numpy and last in MARKED_NAMES)
            )
            if not allowed and not inside_raise(function, node):
                yield name, called


def inside_raise(function: ast.FunctionDef, call: ast.Call) -> bool:
    """Whether this call makes the exception that is raised."""
    return any(call in ast.walk(node) for node in ast.walk(function) if isinstance(node, ast.Raise))


def test_every_function_of_the_audio_side_only_does_what_it_may() -> None:
    found = {offence for name, function in MARKED.items() for offence in offences(name, function)}
    assert found - EXCEPTIONS.keys() == set()
    assert EXCEPTIONS.keys() - found == set()  # no exception outlives its reason


def test_the_rules_see_what_is_against_them() -> None:
    source = """
def process(self, samples):
    with self._lock:
        copy = samples.copy()
    np.multiply(copy, 2)
    print(np.zeros(3), file=open("log"))
    logging.info("late")
    self._prepare()
    if len(samples) == 0:
        raise ValueError(f"{min(samples)}")
    try:
        return [np.add(a, b, out=c) for a, b, c in samples.astype(float)]
    finally:
        np.concatenate([copy, samples])
"""
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert {what for _, what in offences("process", function)} == {
        "With", "samples.copy", "np.multiply", "print", "np.zeros", "open", "logging.info", "self._prepare", "Raise",
        "Try", "ListComp", "samples.astype", "np.concatenate",
    }  # fmt: skip


def test_arguments_are_refused_before_anything_is_touched() -> None:
    body = MARKED["Engine.process"].body
    raising = [at for at, node in enumerate(body) if any(isinstance(inner, ast.Raise) for inner in ast.walk(node))]
    loop = next(at for at, node in enumerate(body) if isinstance(node, ast.While))
    assert max(raising) < loop


@pytest.mark.parametrize("path", ["window", "minimum-phase"])
@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_whatever_a_hop_runs_is_marked(tmp_path: Path, rate: int, path: str) -> None:
    _, model = open_model(make_model(tmp_path / "a-step-fp32.onnx", "a", ("speech", "noise")))
    look_back = make_graph(tmp_path / "b-look-back-fp32.onnx", "look-back", centres=CENTRES, look_ahead=2)
    _, clustered = open_clustered(look_back)
    options = {"warm_up_ms": 20.0, "look_ahead_ms": 3.0, "true_peak": True, "path": path}
    engine = make_engine(model, clustered, rate=rate, channels=2, **options)
    sound = noise(0, rate // 4, 2, peak=3.0)
    sound[rate // 8] = np.nan
    seen: set[types.CodeType] = set()

    def note(frame: types.FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(str(PACKAGE)):
            seen.add(frame.f_code)

    engine.select("b")
    engine.bypass(True)
    sys.setprofile(note)
    try:
        for piece in np.array_split(sound, 50):
            engine.process(piece, separate=True)
    finally:
        sys.setprofile(None)
    assert engine.domain == "b"
    ran = {code.co_qualname for code in seen}
    properties = {"Ring.filled", "Fade.finished"}
    parts = {"open_graph.<locals>.bound.<locals>.<lambda>", "within.<locals>.<genexpr>", "slide_weight"}
    assert ran - MARKED.keys() - properties - parts == set()
    assert {"Engine._hop", "Rendering.process", "BoundModel.process", "Limiter.process", "Cleaner.process"} <= ran
    assert {"ClusteredSeparator.process", "Centres._follow"} <= ran


# ---------------------------------------------------------------------------------------------------------- memory


def playing(engine: Engine, block: int, separate: bool = False, peak: float = 0.5) -> Callable[[], None]:
    """A call after the other, in blocks of this many samples."""
    sound = noise(0, 40 * block, engine.channels, peak)
    out = np.zeros_like(sound[:block])
    turn = itertools.cycle(range(0, len(sound), block))

    def process() -> None:
        at = next(turn)
        engine.process(sound[at : at + block], out, separate)

    return process


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("rate", "block"), [(16_000, 64), (48_000, 128), (44_100, 100), (8_000, 32)])
def test_a_hop_takes_next_to_no_memory_and_keeps_none(rate: int, block: int, channels: int) -> None:
    engine = make_engine(Leaky(), rate=rate, channels=channels)
    memory = memory_of(playing(engine, block, separate=channels == 2), 2000)
    assert memory.peak < 4096
    assert memory.kept < 1024


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_nor_does_one_of_a_millisecond(rate: int) -> None:
    engine = make_engine(Leaky(), rate=rate, channels=2, synthesis_ms=2)
    memory = memory_of(playing(engine, 128, separate=True), 2000)
    assert memory.peak < 4096
    assert memory.kept < 1024


@pytest.mark.parametrize("options", [{"look_ahead_ms": 5.0}, {"look_ahead_ms": 5.0, "true_peak": True}, {}])
def test_nor_does_one_that_is_limited(options: dict[str, object]) -> None:
    engine = make_engine(Leaky(), rate=48_000, channels=2, **options)
    memory = memory_of(playing(engine, 192, peak=5.0), 2000)
    assert engine.counters.limited_hops > 1000
    assert memory.peak < 4096
    assert memory.kept < 1024


def test_nor_does_one_with_a_fade_and_a_bypass_under_way() -> None:
    engine = make_engine(Leaky(), Leaky(look_ahead=4), warm_up_ms=20.0, channels=2)
    process = playing(engine, 64)
    turn = itertools.count()

    def switching() -> None:
        now = next(turn)
        if now % 10 == 0:
            engine.select("ab"[now // 40 % 2])
            engine.bypass(now // 20 % 2 == 0)
            engine.set_gain("event", -(now % 100))
        process()

    memory = memory_of(switching, 2000)
    assert engine.counters.switches > 10
    assert memory.peak < 4096
    assert memory.kept < 1024


def test_nor_does_one_with_a_sound_that_is_no_number() -> None:
    engine = make_engine(Leaky(), channels=2)
    block, out = np.full((64, 2), np.nan, np.float32), np.zeros((64, 2), np.float32)
    memory = memory_of(lambda: engine.process(block, out), 2000)
    assert engine.counters.non_finite_hops == engine.counters.hops
    assert memory.peak < 4096
    assert memory.kept < 1024


@pytest.mark.parametrize("fault", ["raises", np.nan])
def test_nor_does_one_whose_separator_fails(fault: str | float) -> None:
    separator = Faulty()
    engine = make_engine(separator)
    separator.fault = fault
    memory = memory_of(playing(engine, 64), 2000)
    assert engine.counters.separator_faults == engine.counters.hops
    assert memory.peak < 4096
    assert memory.kept < 1024


# --------------------------------------------------------------------------------------------------------- threads


@pytest.fixture
def hurried() -> Iterator[None]:
    """Threads that change places as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def together(work: Callable[[], None]) -> tuple[threading.Thread, list[BaseException]]:
    """Work that another thread has begun, and what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, raised


@pytest.mark.usefixtures("hurried")
def test_everything_may_be_asked_from_another_thread_while_the_sound_goes_on() -> None:
    engine = make_engine(Leaky(), Leaky(look_ahead=3), Faulty(), warm_up_ms=8.0, fade_ms=20.0, channels=2)
    over = threading.Event()
    asked = 0

    def ask() -> None:
        nonlocal asked
        random = np.random.default_rng(0)
        while not over.is_set():
            engine.select("abc"[random.integers(3)])
            engine.set_gain("talker", float(random.uniform(-120, 24)))
            engine.set_gain("event", float(random.uniform(-120, 24)))
            engine.bypass(bool(random.integers(2)))
            assert engine.domain in engine.domains
            assert len(engine.sources) == 3
            asked += 1

    thread, raised = together(ask)
    try:
        sound, heard = noise(0, 16_000, 2, peak=2.0), []
        while (asked < 50 or engine.counters.switches < 8) and engine.counters.hops < 50_000:
            heard += [engine.process(sound[at : at + 100]).copy() for at in range(0, len(sound), 100)]
    finally:
        over.set()
        thread.join()
    assert raised == []
    assert asked >= 50
    assert engine.counters.switches >= 8
    assert engine.counters.hops == len(heard) // 160 * 250
    whole = np.concatenate(heard)
    assert np.abs(whole).max() <= 10 ** (-1 / 20)  # NaN is not
    assert np.abs(whole).max() > 0.1


@pytest.mark.usefixtures("hurried")
def test_a_ring_hands_over_every_sample_in_order_between_two_threads() -> None:
    ring, count = Ring(2, 257), 20_000
    rows = np.array([[1.0], [-1.0]])

    def write() -> None:
        random, at = np.random.default_rng(0), 0
        while at < count:
            piece = rows * np.arange(at, min(count, at + int(random.integers(0, 200))))
            if ring.write(piece):
                at += piece.shape[1]

    thread, raised = together(write)
    random, at = np.random.default_rng(1), 0
    while at < count:
        out = np.full((2, min(count - at, int(random.integers(0, 200)))), np.nan)
        if ring.read(out):
            np.testing.assert_array_equal(out, rows * np.arange(at, at + out.shape[1]))
            at += out.shape[1]
        else:
            assert np.isnan(out).all()
    thread.join()
    assert raised == []
    assert ring.filled == 0


def test_a_ring_refuses_what_has_no_room_and_what_is_not_there() -> None:
    ring = Ring(1, 8)
    assert ring.write(np.arange(8.0)[None])
    assert not ring.write(np.zeros((1, 1)))
    out = np.full((1, 9), 7.0)
    assert not ring.read(out)
    assert (out == 7).all()
    assert ring.read(out[:, :8])
    np.testing.assert_array_equal(out[0], [*range(8), 7])
    ring.reset(3)
    assert ring.filled == 3
    assert ring.read(out[:, :3])
    assert not out[:, :3].any()


@pytest.mark.usefixtures("hurried")
def test_a_mailbox_hands_over_the_newest_order_once_between_two_threads() -> None:
    mailbox, count = Mailbox(), 20_000

    def put() -> None:
        for index in range(count):
            mailbox.put(Order(index))

    thread, raised = together(put)
    taken: list[int] = []
    while not taken or taken[-1] < count - 1:
        order = mailbox.take()
        if order is not None:
            taken.append(order.index)
    thread.join()
    assert raised == []
    assert taken == sorted(set(taken))
    assert mailbox.take() is None


def test_the_same_request_may_be_made_twice() -> None:
    mailbox = Mailbox()
    for _ in range(2):
        mailbox.put(Order(1))
        order = mailbox.take()
        assert order is not None
        assert order.index == 1
        assert mailbox.take() is None
