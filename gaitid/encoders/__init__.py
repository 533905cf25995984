"""Encoders: from a gait sequence to an embedding."""
