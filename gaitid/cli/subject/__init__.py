"""``gaitid subject VERB``: the rights of an enrolled subject."""
