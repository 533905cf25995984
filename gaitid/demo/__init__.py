"""What `gaitid demo` shows: the demo chain and its reports."""
