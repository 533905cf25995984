"""Streams of a gait sequence: validate, pack, convert foreign layouts at the border."""
