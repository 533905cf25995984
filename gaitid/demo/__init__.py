"""The demo of ``gaitid demo``: the whole chain on a video or on a generated scene, with a report."""
