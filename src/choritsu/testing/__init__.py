"""Kits that others may test with: the contracts of a store, an oracle and an executor; virtual time; faults on demand.

Import the module you need.
"""
