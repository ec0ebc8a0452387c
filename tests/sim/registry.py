"""The faults that are tried, each in a world of its own: a function with the binary and whether all is to be tried
(else a sample); it returns how many faults it tried and raises when the daemon did something wrong."""

import os

SCENARIOS = {}
FULL_ONLY = set()  # too slow for a sample


def scenario(function):
    SCENARIOS[function.__name__] = function
    return function


def full_only(function):
    FULL_ONLY.add(function.__name__)
    return function


def seed():
    return int(os.environ.get("NEL_FAULT_SEED", "1"))
