"""Loops that every backend compiles, so that they cannot disagree: on the CPU over a range of queries, on a GPU one per thread.

Each file holds all that its loop calls, because Numba's cache on disk notices a change of that one file only.
"""
