"""The licence of weights, by what the licences of their data say."""

import re
from collections.abc import Sequence

from streamsep.models.manifest import Corpus

# Words of licences that cover commercial use, of licences that exclude it or do not cover it, and of clips whose own
# licence is freer than that of the collection they were taken from. What has none of them is not free.
FREE = re.compile(
    r"\bCC[-_ ]?0|\bCC[-_ ]BY\b|Creative Commons (Zero|Attribution)|\bpublic domain\b|\bMIT\b|\bBSD\b|\bApache\b|"
    r"\bPixabay\b",
    re.I,
)
RESTRICTED = re.compile(
    r"(?<![a-z])N[CD](?![a-z])|non[\s_-]*commercial|\b(no|not|without|except)\b.{0,30}commercial|no[\s_-]*deriv|academic|"
    r"research|educational|personal|private|evaluation|requires|permission|propriet|reserved|\bLDC|\bA?GPL|sampling|"
    r"no explicit|unknown|^none\b",
    re.I,
)
FREE_CLIP = re.compile(r"source clip (CC0|CC[- ]BY)\b(?!.*(?<![a-z])(N[CD]|non|no)(?![a-z]))", re.I)
SHARE_ALIKE = re.compile(r"\bBY[-_ ]SA\b|share[-_ ]?alike", re.I)


def weights_licence(data: Sequence[Corpus]) -> str:
    """The licence of weights trained on these data: no freer than the least free of them."""

    def named(entries: Sequence[Corpus]) -> str:
        return ", ".join(sorted({entry.corpus for entry in entries}))

    limited = [entry for entry in data if RESTRICTED.search(entry.licence) or not FREE.search(entry.licence)]
    if research := [entry for entry in limited if not FREE_CLIP.search(entry.licence)]:
        names = named(research)
        said = f"Research use only: trained on {names}, whose licences exclude commercial use or do not cover it"
    else:
        said = "MIT; the data it was trained on keep their own licences, listed under training"
    if collected := [entry for entry in limited if FREE_CLIP.search(entry.licence)]:
        names = named(collected)
        said += f"; {names} is not for commercial use as a collection, but each clip used is CC0 or CC BY itself"
    if alike := [entry for entry in data if SHARE_ALIKE.search(entry.licence)]:
        said += f"; some clips of {named(alike)} are to be shared alike (CC BY-SA)"
    return said
