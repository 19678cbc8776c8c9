"""The listening scene that comes with streamsep, and what is done with it."""
