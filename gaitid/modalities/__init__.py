"""The streams of a gait sequence, one object per modality, and the foreign layouts converted to them."""
