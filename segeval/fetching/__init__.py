"""Download published datasets and weights into the user's cache.

sources: what is available.   inventory: what is here.   server, download, batch, lock: downloading the rest.
"""
