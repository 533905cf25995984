"""``gaitid camera VERB``: what a gallery has learned about each camera."""
