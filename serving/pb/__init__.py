"""Generated from proto/ by `python -m serving.generate`; do not edit."""
