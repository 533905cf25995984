"""The trainer: ``gaitid train`` and ``gaitid model adapt``; in the wheel it is ``gaitid.training``."""
