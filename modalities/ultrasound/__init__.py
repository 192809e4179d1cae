"""High-frequency ultrasound of skin, 20 to 75 MHz, B-mode."""
