"""The papers' tables from one command: studies over lists of mixtures, run by processes, written as one report."""
