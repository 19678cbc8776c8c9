"""What the papers found, as they print it. Liu, Seetharaman & Pardo 2019, Tables 1 and 2 and Section 4: mean
scale-dependent SDR in dB over 3,000 mixtures a domain."""

DOMAINS = ("speech", "music", "environment")  # in the paper's order

TABLE_1: dict[str, tuple[float, float, float]] = {  # a row each, by domain of the mixtures
    "oracle": (8.37, 6.55, 12.21),
    "random": (4.86, 4.25, 2.82),
    "confidence": (7.61, 6.47, 10.52),
    "speech": (8.29, 2.06, 3.03),
    "music": (1.43, 6.50, 2.57),
    "environment": (2.16, 1.77, 11.94),
}
CONFUSION = ((4372, 1434, 194), (50, 5900, 50), (62, 2470, 3468))  # oracle's pick by row, the confidence's by column
PRECISION = (0.975, 0.602, 0.934)
RECALL = (0.729, 0.983, 0.578)
CORRELATIONS = {"vocals": 0.46, "accompaniment": 0.63, "environment": 0.70}  # r; that of speech is in a picture only


def shares(of_the_printed_row: bool) -> tuple[float, ...]:
    """What the confidence won of the oracle's gain over random, by domain.

    Its random row is not the mean of its three models, which a model by lot would reach: a share by each.

    >>> [round(share, 2) for share in shares(True)], [round(share, 2) for share in shares(False)]
    ([0.78, 0.97, 0.82], [0.83, 0.97, 0.73])
    """
    won = []
    for at in range(len(DOMAINS)):
        by_lot = TABLE_1["random"][at]
        if not of_the_printed_row:
            by_lot = sum(TABLE_1[model][at] for model in DOMAINS) / len(DOMAINS)
        won.append((TABLE_1["confidence"][at] - by_lot) / (TABLE_1["oracle"][at] - by_lot))
    return tuple(won)
