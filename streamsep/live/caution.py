"""Before the sound begins: as loud as it may become, and no louder."""

from streamsep.config import Settings


def capped(settings: Settings) -> tuple[Settings, str | None]:
    """The settings with no gain above `live.most_gain_db`, and what to say of it; None: they were fine.

    Masks share out what there is, so nothing of the output is then louder than in the input by more than that."""
    most_db = settings.live.most_gain_db
    above = sorted(name for name, gain_db in settings.gains_db.items() if gain_db > most_db)
    if not above:
        return settings, None
    gains_db = {name: min(gain_db, most_db) for name, gain_db in settings.gains_db.items()}
    remark = f"gains above live.most_gain_db are held at {most_db:+g} dB: {', '.join(above)}"
    return settings.model_copy(update={"gains_db": gains_db}), remark
