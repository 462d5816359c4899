"""Readers of corpora as they are distributed: each module turns one layout into manifests."""
