"""Readers, protocols and prepared copies of public gait data sets."""
