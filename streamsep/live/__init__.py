"""Live sound: a process with the sound, and one with the person. Control side."""
