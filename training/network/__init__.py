"""The network: what it reads, its layers, its losses, and the calibration of what it says."""
