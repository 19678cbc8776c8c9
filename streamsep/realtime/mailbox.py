"""A mailbox: the control side leaves the next order, the audio side picks up the newest. Older ones are forgotten.

Storing a reference is one step for the interpreter, so neither side needs a lock; an order is told from the one
picked up before by its identity, so the same request can be made twice.
"""

from streamsep.realtime.contract import audio_thread


class Order:
    """Go over to the separator with this index."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index


class Mailbox:
    """One slot; newest wins."""

    def __init__(self) -> None:
        self._newest: Order | None = None
        self._taken: Order | None = None

    def put(self, order: Order) -> None:
        """Leave a new order. The control side's, from any thread."""
        self._newest = order

    def withdraw(self) -> None:
        """What waits is not to be carried out, nor what was taken put back. The control side's, from any thread."""
        self._newest = None

    @audio_thread
    def put_back(self) -> None:
        """What was taken last waits again, unless a newer one does. The audio side's."""
        self._taken = None

    @audio_thread
    def take(self) -> Order | None:
        """The newest order if it was not taken before. The audio side's."""
        newest = self._newest
        if newest is self._taken:
            return None
        self._taken = newest
        return newest
