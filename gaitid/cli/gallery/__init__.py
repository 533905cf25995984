"""``gaitid gallery VERB``: what is done to a whole gallery."""
