"""Train, export and release models. The only place for torch."""
