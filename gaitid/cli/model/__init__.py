"""``gaitid model VERB``: weights of encoders, in and out."""
