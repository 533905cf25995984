"""Galleries: the store (truth), the index (projection) and the policy (decision)."""
