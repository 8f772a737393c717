"""Training SAM 2 on movies with truth, as the bundled model was: images first, then clips."""
