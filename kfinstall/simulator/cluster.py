"""x"""

from __future__ import annotations


class SimCluster:
    def __init__(self, *a):
        pass

    def bootstrap(self, *a):
        pass

    def resume(self):
        pass

    async def start(self):
        pass

    async def close(self):
        pass
