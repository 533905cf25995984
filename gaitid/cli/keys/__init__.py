"""``gaitid keys VERB``: the keys that encrypt templates at rest."""
