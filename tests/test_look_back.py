"""What every domain's model makes of the newest seconds, and what the watcher does with it, tick by tick."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from graphs import BINS, make_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import count
from numpy.typing import NDArray
from watched import DOMAINS, HOP, frames_of, look_back_graphs, make_watched_bank, state_after

from streamsep.arrays import State
from streamsep.errors import ConfigError, ModelError
from streamsep.models.loader import Batch, Tensor
from streamsep.monitor.confidence import loudest
from streamsep.monitor.look_back import Judge, Judgement, LookBack, Moment, Watch, at_once
from streamsep.monitor.shared import Board, BoardWriter, Layout
from streamsep.monitor.texture import texture
from streamsep.monitor.watcher import Watcher
from streamsep.realtime.recent import Recent, RecentReader, recent_size


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_watched_bank(tmp_path_factory.mktemp("bank"))


@pytest.fixture(scope="module")
def graphs(folder: Path) -> dict[str, Batch]:
    return {domain: Batch(path) for domain, path in look_back_graphs(folder).items()}


# ------------------------------------------------------------------------------------------------------ what it hears


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=4), st.integers(0, 2**32 - 1), st.floats(0.001, 1))
def test_a_look_back_is_the_loudest_of_the_newest_frames_however_they_came(
    graphs: dict[str, Batch], sizes: list[int], seed: int, share: float
) -> None:
    random = np.random.default_rng(seed)
    sound = random.normal(size=(sum(sizes), HOP)).astype(np.float32)
    sound *= random.choice([0.0, 0.1, 1.0], (len(sound), 1)).astype(np.float32)
    watch, longest = Watch(graphs, 0.4, share), 100
    for piece in np.split(sound, np.cumsum(sizes)[:-1]):
        watch.hear(piece, only=[None, *DOMAINS][random.integers(3)])
    spectrum = frames_of(sound)
    backs = watch.look_backs()
    assert list(backs) == list(DOMAINS)
    for domain, back in backs.items():
        assert min(len(sound), longest - longest // 8 + 1) <= back.frames <= longest
        embeddings, state = graphs[domain].run(spectrum, graphs[domain].start())
        newest = np.abs(spectrum[-back.frames :].astype(np.complex64))
        loud = loudest(newest.ravel(), math.ceil(share * newest.size))
        expected = embeddings[-back.frames :].reshape(newest.size, -1)[loud]
        np.testing.assert_array_equal(back.magnitudes, newest.ravel()[loud])
        np.testing.assert_allclose(back.embeddings, expected, atol=1e-5)
        np.testing.assert_allclose(watch.state(domain)["mean"], state["mean"], rtol=1e-4)
        np.testing.assert_array_equal(watch.sound(), sound[-back.frames :].reshape(-1))
        assert back.texture == texture(watch.sound(), graphs[domain].manifest.sample_rate)
    assert watch.hop == len(sound)


def test_the_mean_embedding_is_of_the_louder_bins_of_every_piece(graphs: dict[str, Batch]) -> None:
    sound = np.random.default_rng(3).normal(size=(40, HOP)).astype(np.float32)
    sound[:25] *= 0.01
    watch = Watch(graphs, 0.4)  # 100 frames, in pieces of 12
    watch.hear(sound)
    spectrum = frames_of(sound)
    for domain, back in watch.look_backs().items():
        embeddings, _ = graphs[domain].run(spectrum, graphs[domain].start())
        chosen = []
        for at in range(0, 40, 12):
            magnitudes = np.abs(spectrum[at : at + 12].astype(np.complex64)).ravel()
            flat = embeddings[at : at + 12].reshape(magnitudes.size, -1)
            chosen.append(flat[loudest(magnitudes, math.ceil(0.3 * magnitudes.size))])
        assert back.mean is not None
        np.testing.assert_allclose(back.mean, np.concatenate(chosen).mean(axis=0), atol=1e-4)


class Later(Batch):
    """A graph whose results come some frames later, as of a model that looks ahead."""

    def __init__(self, path: Path, frames: int) -> None:
        super().__init__(path)
        self.manifest = self.manifest.model_copy(update={"look_ahead": frames})

    def start(self) -> State:
        return {**super().start(), "held": np.zeros((self.manifest.look_ahead, BINS, 2), np.float32)}

    def run(self, spectrum: NDArray[np.complexfloating], state: State) -> tuple[Tensor, State]:
        held = state["held"]
        results, after = super().run(spectrum, {name: value for name, value in state.items() if name != "held"})
        together = np.concatenate([held, results])
        return together[: len(results)], {**after, "held": together[len(results) :]}


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_what_a_model_that_looks_ahead_says_is_put_to_the_frames_it_is_of(
    folder: Path, sizes: list[int], ahead: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    sound = random.normal(size=(sum(sizes), HOP)).astype(np.float32)
    first, second = look_back_graphs(folder).items()
    graphs = {first[0]: Later(first[1], ahead), second[0]: Batch(second[1])}
    watch = Watch(graphs, 0.4, 0.1)  # 100 frames
    for piece in np.split(sound, np.cumsum(sizes)[:-1]):
        watch.hear(piece, only=[None, *graphs][random.integers(3)])
    backs, spectrum = watch.look_backs(), frames_of(sound)
    known = backs[first[0]].frames
    assert max(0, min(len(sound) - ahead, 100) - 24) < known + 1 <= max(1, len(sound) - ahead + 1)
    assert len(watch.sound()) == known * HOP
    if not known:
        return
    magnitudes = np.abs(spectrum.astype(np.complex64))
    until = next(
        at for at in range(len(sound), 0, -1) if np.array_equal(watch.sound(), sound[at - known : at].reshape(-1))
    )
    newest = magnitudes[until - known : until]
    loud = loudest(newest.ravel(), math.ceil(0.1 * newest.size))
    for domain, back in backs.items():
        plain = Batch(look_back_graphs(folder)[domain])
        embeddings, _ = plain.run(spectrum, plain.start())
        np.testing.assert_array_equal(back.magnitudes, newest.ravel()[loud])
        expected = embeddings[until - known : until].reshape(newest.size, -1)[loud]
        np.testing.assert_allclose(back.embeddings, expected, atol=1e-5)


@given(st.integers(0, 1000), st.integers(0, 20))
def test_embeddings_that_are_not_finite_do_not_count(seed: int, broken: int) -> None:
    random = np.random.default_rng(seed)
    embeddings = random.normal(size=(4, 5, 3)).astype(np.float32)
    magnitudes = random.uniform(1, 2, size=(4, 5)).astype(np.float32)
    embeddings.reshape(-1, 3)[random.permutation(20)[:broken], random.integers(3)] = random.choice(
        [np.nan, np.inf, -np.inf], broken
    )
    louder = embeddings.reshape(-1, 3)[loudest(magnitudes.ravel(), 6)]
    finite = louder[np.isfinite(louder).all(axis=1)]
    back = at_once(embeddings, magnitudes, 0.5, {})
    if len(finite):
        assert back.mean is not None
        np.testing.assert_allclose(back.mean, finite.mean(axis=0), atol=1e-6)
    else:
        assert back.mean is None


def test_its_state_is_the_one_the_engine_would_have(folder: Path, graphs: dict[str, Batch]) -> None:
    sound = np.random.default_rng(0).normal(size=(300, HOP)).astype(np.float32)
    watch = Watch(graphs)
    watch.hear(sound)
    for domain in DOMAINS:
        engine_state = state_after(folder, domain, sound)
        assert watch.state(domain).keys() == engine_state.keys()
        for name, array in engine_state.items():
            np.testing.assert_allclose(watch.state(domain)[name], array, rtol=1e-4)


def test_before_the_first_hop_and_in_silence_there_is_nothing_to_judge(graphs: dict[str, Batch]) -> None:
    watch = Watch(graphs)
    for frames in (0, 20):
        watch.hear(np.zeros((frames, HOP), np.float32))
        for back in watch.look_backs().values():
            assert back.embeddings.shape == (0, 2)
            assert (back.mean, back.texture) == (None, {})
            assert back.magnitudes.shape == (0,)
            assert back.frames == frames
        assert len(watch.sound()) == frames * HOP


def test_started_again_it_is_as_new(graphs: dict[str, Batch]) -> None:
    sound = np.random.default_rng(0).normal(size=(50, HOP)).astype(np.float32)
    used, new = Watch(graphs), Watch(graphs)
    used.hear(100 * sound)
    used.restart(1000)
    for watch in (used, new):
        watch.hear(sound)
    assert (used.hop, new.hop) == (1050, 50)
    for domain in DOMAINS:
        np.testing.assert_array_equal(used.look_backs()[domain].embeddings, new.look_backs()[domain].embeddings)
        np.testing.assert_array_equal(used.state(domain)["mean"], new.state(domain)["mean"])


def test_graphs_that_are_no_look_back_or_of_another_bank_are_refused(folder: Path, tmp_path: Path) -> None:
    good = Batch(folder / "music-look-back.onnx")
    other = Batch(make_graph(tmp_path / "noise.onnx", "look-back", sample_rate=8000))
    with pytest.raises(ModelError, match=r"'look-back' graph for 'noise'.*16000.*8000"):
        Watch({"music": good, "noise": other})
    with pytest.raises(ModelError, match=r"expected.*got a 'step' graph for 'music'"):
        Watch({"music": Batch(folder / "music-step.onnx")})
    with pytest.raises(ModelError, match=r"graph for 'noise'.*got.*for 'music'"):
        Watch({"noise": good})
    with pytest.raises(ConfigError, match=r"look_back_s.*0\.01"):
        Watch({"music": good}, look_back_s=0.01)
    with pytest.raises(ConfigError, match=r"loudest.*1\.5"):
        Watch({"music": good}, loudest=1.5)


# ----------------------------------------------------------------------------------------------------------- a tick


@contextmanager
def desk(graphs: dict[str, Batch], judge: Judge, hops: int = 400) -> Iterator[tuple[Recent, Watcher, Board]]:
    """A watcher without a process."""
    layout = Layout({domain: graph.manifest.states for domain, graph in graphs.items()})
    heard, said = np.zeros(recent_size(HOP, hops), np.uint8), np.zeros(layout.size, np.uint8)
    recent, board = Recent(heard, HOP, hops), Board(said, layout)
    board.tell(-1)
    watch = Watch(graphs, 0.4)
    yield recent, Watcher(watch, judge, RecentReader(heard, HOP, hops), BoardWriter(said, layout)), board


def test_a_wanted_domain_comes_with_a_state_that_has_heard_what_came_meanwhile(
    folder: Path, graphs: dict[str, Batch]
) -> None:
    sound = np.random.default_rng(0).normal(size=(200, HOP)).astype(np.float32)
    moments: list[Moment] = []

    def judge(look_backs: object, moment: Moment) -> Judgement:
        moments.append(moment)
        for samples in sound[recent.hops :][:30]:
            recent.write(samples)  # it goes on while the judge thinks
        return Judgement({"noise": 0.5}, "noise")

    with desk(graphs, judge) as (recent, watcher, board):
        watcher.tick()
        assert not board.poll()  # nothing was heard
        for samples in sound[:100]:
            recent.write(samples)
        for tick, (active, warm) in enumerate([(-1, 1), (0, 1), (1, -1)], start=1):
            board.tell(active)
            for samples in sound[recent.hops :][:5]:
                recent.write(samples)
            watcher.tick()
            assert board.poll()
            assert (board.tick, board.hop, board.decision) == (tick, moments[-1].hop, 1)
            np.testing.assert_array_equal(board.scores, [np.nan, 0.5])
            assert moments[-1].active == (None if active < 0 else DOMAINS[active])
            assert moments[-1].time_s == pytest.approx(moments[-1].hop * 0.004)
            np.testing.assert_array_equal(moments[-1].sound[-HOP:], sound[moments[-1].hop - 1])
            assert board.warm == warm
            if warm < 0:
                assert (board.warm_hop, board.state()) == (-1, {})
            else:
                assert board.warm_hop == recent.hops == moments[-1].hop + 30
                expected = state_after(folder, "noise", sound[: board.warm_hop])["mean"]
                np.testing.assert_allclose(board.state()["mean"], expected, rtol=1e-4)
        assert [moment.hop for moment in moments] == [105, 140, 175]
        assert board.lost == 0


def test_who_comes_too_late_says_so_and_starts_anew_with_the_newest(graphs: dict[str, Batch]) -> None:
    sound = np.random.default_rng(0).normal(size=(900, HOP)).astype(np.float32)
    moments: list[Moment] = []

    def judge(look_backs: Mapping[str, LookBack], moment: Moment) -> Judgement:
        moments.append(moment)
        return count(look_backs, moment)

    with desk(graphs, judge) as (recent, watcher, board):
        for upto, lost in ((500, 0), (600, 0), (900, 0)):  # before it began nothing was asked for
            for samples in sound[recent.hops : upto]:
                recent.write(samples)
            watcher.tick()
            assert board.lost == lost
            assert moments[-1].hop == upto
            look_back = len(moments[-1].sound) // HOP
            assert look_back > 87
            np.testing.assert_array_equal(moments[-1].sound, sound[upto - look_back : upto].reshape(-1))
        for samples in sound[:777]:
            recent.write(samples)
        watcher.tick()
        assert board.lost == 377
        recent.reset()
        for samples in sound[:5]:
            recent.write(samples)
        watcher.tick()
        assert board.lost == 377  # forgotten on purpose
        assert board.poll()
        np.testing.assert_array_equal(board.scores, np.ceil(0.01 * 5 * BINS))
