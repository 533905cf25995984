"""Scoring: how inner products become scores, error rates and decisions."""
