"""Encoders: networks and other methods that turn a gait sequence into an embedding."""
