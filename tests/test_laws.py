"""The laws on somebody's own file: what `streamsep check` finds out."""

from pathlib import Path

import pytest
from graphs import make_graph

from streamsep.errors import ModelError
from streamsep.models import laws
from streamsep.models.laws import LAWS, SEQUENCE_LAWS, Verdict, check_laws


@pytest.fixture(autouse=True)
def fewer_hops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laws, "STEADY_HOPS", 500)


def broken(verdicts: list[Verdict]) -> dict[str, str]:
    """What was found of those that are."""
    return {verdict.name: verdict.detail for verdict in verdicts if not verdict.passed}


def test_a_model_with_its_look_back_graph_keeps_every_law(tmp_path: Path) -> None:
    path = make_graph(tmp_path / "a-step-fp32.onnx")
    make_graph(tmp_path / "a-look-back-fp32.onnx", "look-back")
    verdicts = check_laws(path)
    assert broken(verdicts) == {}
    assert [verdict.name for verdict in verdicts] == list(LAWS)
    assert all(verdict.law == LAWS[verdict.name][0] for verdict in verdicts)
    details = {verdict.name: verdict.detail for verdict in verdicts}
    assert "the graph of embeddings" in details["2 one arithmetic"]
    assert "(at most 0.0001)" in details["2 one arithmetic"]


def test_a_look_back_graph_alone_is_held_to_what_concerns_it(tmp_path: Path) -> None:
    verdicts = check_laws(make_graph(tmp_path / "a-look-back-fp32.onnx", "look-back"))
    assert broken(verdicts) == {}
    assert [verdict.name for verdict in verdicts] == list(SEQUENCE_LAWS)


@pytest.mark.parametrize("kind", ["step", "look-back"])
def test_a_graph_that_sees_the_future_breaks_the_laws_of_order_and_causality(tmp_path: Path, kind: str) -> None:
    found = broken(check_laws(make_graph(tmp_path / f"a-{kind}-fp32.onnx", kind, seeing=True)))
    assert found.keys() >= {"2 one arithmetic", "3 causal"}
    assert found.keys() <= {"2 one arithmetic", "3 causal", "5 reset and state"}


def test_eight_bits_are_given_more_room_but_not_for_seeing_the_future(tmp_path: Path) -> None:
    found = broken(check_laws(make_graph(tmp_path / "a-step-int8.onnx", seeing=True, precision="int8")))
    assert found.keys() >= {"2 one arithmetic", "3 causal"}
    assert "dB (at most -30 dB)" in found["3 causal"]


def test_a_graph_for_one_frame_at_a_time_is_told_what_it_lacks(tmp_path: Path) -> None:
    found = broken(check_laws(make_graph(tmp_path / "a-step-fp32.onnx", frames=1)))
    assert found.keys() == {"2 one arithmetic", "3 causal", "5 reset and state"}
    assert all("spectrum" in detail for detail in found.values())


def test_a_look_back_graph_of_another_model_is_noticed(tmp_path: Path) -> None:
    path = make_graph(tmp_path / "a-step-fp32.onnx")
    make_graph(
        tmp_path / "a-look-back-fp32.onnx",
        "look-back",
        rename={"state.mean": "state.other", "next.mean": "next.other"},
        states={"other": [1, 257]},
    )
    found = broken(check_laws(path))
    assert list(found) == ["2 one arithmetic"]
    assert "one has ['mean'], the other ['other']" in found["2 one arithmetic"]


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model file"):
        check_laws(tmp_path / "missing.onnx")
    path = make_graph(tmp_path / "a-step-fp32.onnx")
    (tmp_path / "a-look-back-fp32.onnx").write_text("not a model")
    with pytest.raises(ModelError, match=r"a-look-back-fp32\.onnx: not a model"):
        check_laws(path)


def test_a_figure_that_is_no_number_keeps_no_limit() -> None:
    verdict = laws.judge("4 delay", lambda: [laws.Figure("samples off", float("nan"), 0)])
    assert not verdict.passed
    assert verdict.detail == "samples off: nan (at most 0)"
    nothing = laws.judge("4 delay", list)
    assert (nothing.passed, nothing.detail) == (False, "nothing to compare")
