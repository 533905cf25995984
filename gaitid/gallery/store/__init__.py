"""The store: one SQLite database, its schema, commits, encryption and audit trail."""
