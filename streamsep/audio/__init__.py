"""Sound from outside: files and sound cards. The only importers of soundfile and sounddevice. Control side."""
