"""People who do not exist, walking past cameras."""
