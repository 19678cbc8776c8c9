"""Measuring: lists of mixtures, metrics, reports. Control side, offline."""
