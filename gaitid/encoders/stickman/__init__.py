"""Stickman: our skeleton network, a temporal network over joints with marks for missing ones.

Our own design. Its parts have known origins:

- joint, bone and motion streams: Shi et al. 2019 (2s-AGCN, sec. 3.4), fused early as in Song et al. 2020
  (ResGCN, sec. 3.2);
- residual dilated convolutions over time: Bai et al. 2018 (TCN, sec. 3);
- statistics pooling: Snyder et al. 2018 (x-vectors).

What differs: one learned map mixes the joints instead of a graph, since 17 joints are few. Each missing joint
has a mark, and training hides joints, limbs and halves of the body, so partial bodies can be compared.

Deviations from published skeleton encoders: no adjacency matrix, no attention, one forward pass.

`network` is the torch network, for training and export; `inference` computes the same without torch.
"""

TORCH = "gaitid.encoders.stickman.network:StickmanNet"
"""The torch network, imported on use."""
DILATIONS = (1, 2, 4, 8)
"""Of the layers over time."""
VARIANCE_FLOOR = 1e-4
"""Added to variances over time before the square root."""
