"""Multi-wavelength photoacoustic images."""
