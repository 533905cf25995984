"""``gaitid pki``."""
