"""One net of any architecture as the model of a modality."""
