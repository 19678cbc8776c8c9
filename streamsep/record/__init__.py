"""Live sound, recorded by a process of its own into a folder from which it can be heard again."""
