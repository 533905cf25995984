"""The trainer: ``gaitid train`` and ``gaitid model finetune``; in the wheel it is ``gaitid.training``."""
