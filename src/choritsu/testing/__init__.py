"""Kits that others may test with: the contract of a store, and faults on demand. Import the module you need."""
