"""The edge node."""
