"""``gaitid audit VERB``: the trail of who did what to which gallery, and for what purpose."""
