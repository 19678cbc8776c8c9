"""Public corpora, as they lie on disk when unpacked, into a data folder to train on: python -m export.corpora."""
