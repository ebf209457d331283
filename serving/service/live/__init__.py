"""Live scores: from what a snapshot remembers of a customer, the history, and the events that a caller brings."""
