"""The trainer: ``gaitid train`` and ``gaitid finetune``; in the wheel it is ``gaitid.training``."""
