"""Public data sets: one file each, reader and published protocol."""
