"""The licence of weights follows from the licences of their data."""

import pytest

from export.licences import weights_licence
from streamsep.models.manifest import Corpus

ESC_50 = "CC BY-NC 3.0 (ESC-50 collection; Freesound source clip {})"


@pytest.mark.parametrize(
    ("licences", "research", "also"),
    [
        ({"LibriSpeech": "CC BY 4.0", "AN4": "BSD-style: any use incl. commercial", "F": "CC0"}, "", ""),
        ({"EmoDB": "freely available by authors; Zenodo release says CC0; this repo states none"}, "", ""),
        ({"ESC-50": ESC_50.format("CC0"), "F": "CC0"}, "", "ESC-50 is not for commercial use as a collection, but"),
        ({"ESC-50": ESC_50.format("CC-BY"), "F": "CC0"}, "", "ESC-50 is not for commercial use as a collection, but"),
        ({"ESC-50": ESC_50.format("CC-BY-NC"), "F": "CC0"}, "ESC-50", ""),
        ({"Blanket": "CC BY-SA (blanket LICENSING.md)", "F": "CC0"}, "", "some clips of Blanket are to be shared"),
        ({"ESC-50": "CC BY-NC 3.0", "F": "CC0"}, "ESC-50", ""),
        ({"Libri2Mix": "CC BY-NC 4.0 (WHAM!)", "F": "CC0"}, "Libri2Mix", ""),
        ({"MUSDB18": "academic use only (MUSDB18; part of it CC BY-NC-SA)", "F": "MIT"}, "MUSDB18", ""),
        ({"WSJ0": "LDC user agreement (WSJ0, LDC93S6A)", "DNS": "mixed, to CC BY-NC", "F": "MIT"}, "DNS, WSJ0", ""),
        ({"MIR-1K": "free for research; no explicit licence; repo code MIT-like", "F": "CC0"}, "MIR-1K", ""),
        ({"Found": "unknown", "Odd": " ", "F": "CC0"}, "Found, Odd", ""),
        ({"Zenodo": "Creative Commons Attribution Non Commercial 4.0 International", "F": "CC0"}, "Zenodo", ""),
        ({"Slug": "CC_BY_NC_4.0", "F": "CC-BY-4.0"}, "Slug", ""),
        ({"Kept": "CC BY-ND 4.0", "F": "Creative Commons Attribution 4.0 International"}, "Kept", ""),
        ({"Shop": "All rights reserved", "Own": "personal use only", "F": "CC0"}, "Own, Shop", ""),
        ({"A": "CC BY 4.0, not for commercial use", "B": "MIT-style; no commercial use", "F": "CC0"}, "A, B", ""),
        ({"A": "CC BY 4.0; commercial use requires permission", "B": "CC-BY 4.0 (private use only)"}, "A, B", ""),
        ({"A": "CC0, CC BY or CC Sampling+", "B": "Apache-2.0 code, audio GPL-3.0", "F": "CC0"}, "A, B", ""),
        ({"ESC-50": ESC_50.format("CC BY 3.0-NC"), "B": ESC_50.format("CC BY (NC)")}, "B, ESC-50", ""),
        ({"A": "CC BY-NC; source clip CC BY, non\N{EN DASH}commercial", "F": "CC0"}, "A", ""),
        ({"A": "CC BY SA 4.0", "F": "CC0"}, "", "some clips of A are to be shared"),
        ({"A": "Creative Commons Attribution-ShareAlike 4.0", "F": "CC0"}, "", "some clips of A are to be shared"),
        ({"Words": "free to listen to", "F": "public domain"}, "Words", ""),
        ({"P": "Pixabay Content License", "A": "Apache-2.0", "F": "MIT"}, "", ""),
    ],
)
def test_weights_are_no_freer_than_what_they_were_trained_on(
    licences: dict[str, str], research: str, also: str
) -> None:
    said = weights_licence([Corpus(corpus=corpus, minutes=1, licence=text) for corpus, text in licences.items()])
    assert said.startswith(f"Research use only: trained on {research}, whose" if research else "MIT; ")
    assert also in said
    assert also or said.count(";") == (not research)
