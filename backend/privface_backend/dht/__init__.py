"""SIFIS-Home's distributed hash table: requests come from it, results and events go to it, over its websocket."""
