"""Rescoring: every eligible customer of the chain, bucket by bucket, into a snapshot."""
