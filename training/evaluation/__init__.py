"""How good probabilities of churn were, once it is known who churned."""
