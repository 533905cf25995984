"""Strider: our silhouette network, cheap enough for one CPU core.

Our own design. Its parts have known origins:

- horizontal parts with a linear map each: Chao et al. 2019 (GaitSet, sec. 3.4) and Fu et al. 2019 (HPM);
- statistics of features over time instead of a temporal network: set pooling (GaitSet, sec. 3.3) and
  statistics pooling (Snyder et al. 2018, x-vectors);
- absolute differences in time as motion channels: temporal-difference networks (Wang et al. 2021, TDN);
- channels exchanged between neighbouring frames at no cost: Lin et al. 2019 (TSM, sec. 3).

What differs: only small layers see each frame. The walk is pooled over time after them, so the wide layers
run once per sequence and not once per frame, which makes the network about nine times cheaper.

Frames come at a fixed rate (`clips.RATE_HZ`). `network` is the torch network, for training and export;
`inference` computes the same without torch.
"""

TORCH = "gaitid.encoders.strider.network:StriderNet"
"""The torch network, imported on use."""
LAG = 2
"""Frames between the two frames whose difference is a motion channel: 0.16 s, a sixth of a stride."""
VARIANCE_FLOOR = 1e-4
"""Added to variances over time before the square root."""
