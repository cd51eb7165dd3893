"""Quorums, shards, leases and broadcasts: how agents work together, one file each."""

__all__ = []
