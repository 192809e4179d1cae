"""Clinical close-up photographs."""
