"""Indexes: the searchable copies of what the store holds, in this process or in an engine."""
