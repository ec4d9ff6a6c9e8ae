"""Bayesian optimization. NumPy and SciPy come with the first suggestion."""

from choritsu.oracles.bayesian.oracle import BayesianOptimization as BayesianOptimization
