"""Transfer learning: from labelled images to a model bundle. Needs the extra `train`."""
