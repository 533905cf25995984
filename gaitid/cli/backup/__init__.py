"""``gaitid backup VERB``: backups of all galleries."""
