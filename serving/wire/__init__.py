"""What goes over the wire: plain values to messages and back, batches, and errors as status."""
