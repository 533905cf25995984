"""The ``precomputed`` extractor: masks and keypoints that another program made, read from files.

`recording` opens them as a source, one module reads each format, and `extractor`
turns them into observations.
"""

ARRAYS = frozenset({"masks", "labels", "keypoints", "landmarks"})
"""Arrays of an ``.npz`` file that is a recording; `arrays` describes them."""
