"""The demo of ``gaitid demo``: the whole chain on a video or on a generated scene, with a report."""

TIMEOUT_S = 60.0
"""Deadline of a call to the demo's own server, generous because perception may keep the machine busy."""
