"""Cleaning of pairs (TR, methods.md 3.5): each step says what it left out, and why. No torch.

dedup (hardest query of an item) -> merge (SPU) -> rebalance (categories) -> few entities
"""
