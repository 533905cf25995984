"""Indexes: searchable projections of the store, in this process or in an engine."""
