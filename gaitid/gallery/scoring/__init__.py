"""From the products of vectors to a decision: policy, calibration, normalisation, fusion."""
