"""Published datasets and weights from the repositories that carry them, into the user's cache.

sources: what there is.   inventory: what of it is here.   server, download, batch, lock: how the rest gets here.
"""
