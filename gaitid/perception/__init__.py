"""From frames to gait sequences, on the edge."""
