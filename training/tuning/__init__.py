"""Tuning: settings that promise the held-out window better than the usual ones do, found by Optuna.

space : what is searched, and why so far and no further
study : the trials as they are kept in a store
trial : one setting, tried
run   : the search
"""
