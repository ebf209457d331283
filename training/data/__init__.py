"""What is learnt from: the past before an instant, and what is asked of it."""
