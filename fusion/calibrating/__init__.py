"""How sure may an answer be, after fusion? Calibrators at the training classes."""
