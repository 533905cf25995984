"""``gaitid dataset VERB``: data sets to train and evaluate on."""
