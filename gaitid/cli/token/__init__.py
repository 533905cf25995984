"""``gaitid token``."""
