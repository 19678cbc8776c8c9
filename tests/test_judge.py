"""The judge weighs looks: by its belief where a bank recognises its domains, else by estimates, smoothed."""

from hypothesis import given, settings
from hypothesis import strategies as st
from measured_tables import KNOWN, PLAIN

from streamsep.models.manifest import Calibrations, Recognition
from streamsep.monitor.belief import Belief, BeliefOptions, believe
from streamsep.monitor.calibration import promised_db
from streamsep.monitor.judge import ConfidenceJudge, JudgeOptions
from streamsep.monitor.policy import PolicyOptions, PolicyState, decide

DOMAINS = ("music", "noise")
GAINS_DB = {"music": {"music": 5.0, "noise": -1.0}, "noise": {"music": 0.0, "noise": 4.0}}
KNOWING = {
    domain: Calibrations(own=PLAIN, recognition=Recognition.model_validate(KNOWN | {"gains_db": gains_db}))
    for domain, gains_db in GAINS_DB.items()
}
SIMPLE = dict.fromkeys(DOMAINS, Calibrations(own=PLAIN))
OPTIONS = JudgeOptions(
    belief=BeliefOptions(stay_s=20, evidence_per_s=1), policy=PolicyOptions(smoothing_s=2.0, dwell_s=0.0)
)
likely = st.one_of(st.none(), st.floats(0.01, 0.99).map(lambda share: {"music": share, "noise": 1 - share}))


def judge(calibrations: dict[str, Calibrations]) -> ConfidenceJudge:
    return ConfidenceJudge(dict.fromkeys(DOMAINS, 2), calibrations, 16_000, OPTIONS)


@settings(max_examples=50, deadline=None)
@given(st.lists(likely, max_size=12))
def test_a_bank_that_recognises_its_domains_is_judged_by_what_is_believed(
    looks: list[dict[str, float] | None],
) -> None:
    belief: Belief | None = None
    of_bank, state = judge(KNOWING), PolicyState(None)
    sure = PolicyOptions(smoothing_s=0.0, dwell_s=0.0)
    for number, seen in enumerate(looks):
        now_s = 0.5 * (number + 1)
        belief = believe(belief, seen, 0.5, OPTIONS.belief)
        expected = dict.fromkeys(DOMAINS) if seen is None or belief is None else promised_db(KNOWING, belief)
        state, decision = decide(state, expected, now_s, sure)
        scores = dict.fromkeys(DOMAINS) if seen is None else promised_db(KNOWING, seen)
        assert of_bank.weigh(scores, seen, now_s) == (state, decision)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), max_size=12))
def test_any_other_bank_is_judged_by_its_estimates_smoothed(looks: list[tuple[float, float]]) -> None:
    of_bank, state = judge(SIMPLE), PolicyState(None)
    for number, found in enumerate(looks):
        scores = dict(zip(DOMAINS, found, strict=True))
        state, decision = decide(state, scores, 0.5 * number, OPTIONS.policy)
        assert of_bank.weigh(scores, None, 0.5 * number) == (state, decision)


def test_one_look_that_is_wrong_changes_nothing_and_some_that_are_right_do() -> None:
    of_bank = ConfidenceJudge(dict.fromkeys(DOMAINS, 2), KNOWING, 16_000, JudgeOptions())
    right, wrong = {"music": 0.97, "noise": 0.03}, {"music": 0.15, "noise": 0.85}
    heard = []
    for number, seen in enumerate([right] * 6 + [wrong] + [right] * 3 + [wrong] * 8):
        _, decision = of_bank.weigh(promised_db(KNOWING, seen), seen, 0.5 * (number + 1))
        heard.append(decision.active)
    assert set(heard[4:11]) == {"music"}
    assert heard[-1] == "noise"
